"""What the statements need of DuckDB beyond plain SQL: the language's numbers, as macros."""

MACROS = (
    # DuckDB divides a decimal by its power of ten as doubles, which is the nearest double only up to 15 digits.
    """CREATE OR REPLACE TEMPORARY MACRO nearest_double(x, bound) AS
  CASE WHEN abs(CAST(x AS DOUBLE)) < bound THEN CAST(x AS DOUBLE) ELSE CAST(CAST(x AS VARCHAR) AS DOUBLE) END""",
    # 12.50 with factor 100 is 1250; whole numbers of more than 18 digits are read from their text. Up to 15 digits
    # rounding finds the very number, many times faster than a product of decimals of 38 digits.
    """CREATE OR REPLACE TEMPORARY MACRO whole_double(x, factor, bound) AS
  CASE WHEN abs(CAST(x AS DOUBLE)) < bound // 1000 THEN round(CAST(x AS DOUBLE) * factor)
       WHEN abs(x) < bound THEN CAST(CAST(x * factor AS BIGINT) AS DOUBLE)
       ELSE CAST(replace(CAST(x AS VARCHAR), '.', '') AS DOUBLE) END""",
    # The median of a list: the middle value, or the mean of the middle two.
    """CREATE OR REPLACE TEMPORARY MACRO middle(low, high, factor, bound) AS
  CASE WHEN low = high THEN nearest_double(low, bound / 1000)
       ELSE whole_double(low + high, factor, bound) / CAST(2 * factor AS DOUBLE) END""",
)

"""编造一家护肤连锁店的数据：`python rulesets/retail-zh/data/make.py`。每次得到的文件完全相同。

人名、电话一概没有；客户、订单、浏览和服务都是随机数造出来的，与任何真实的人和店无关。
"""

import csv
import math
import random
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

FOLDER = Path(__file__).parent
FIRST, LAST = date(2024, 1, 1), date(2026, 6, 30)
CUSTOMERS = 320

T = TypeVar("T")
Row = Sequence[object]

# 省份、城市，以及各有多少客户；每个城市至少有一位
CITIES = [
    *(("上海", "上海", 36), ("江苏", "南京", 14), ("江苏", "苏州", 14), ("江苏", "无锡", 6), ("浙江", "杭州", 22)),
    *(("浙江", "宁波", 8), ("安徽", "合肥", 8), ("福建", "厦门", 5), ("江西", "南昌", 2), ("山东", "青岛", 7)),
    *(("北京", "北京", 20), ("天津", "天津", 6), ("河北", "石家庄", 2), ("山西", "太原", 2), ("内蒙古", "包头", 1)),
    *(("广东", "广州", 16), ("广东", "深圳", 18), ("广东", "东莞", 5), ("广西", "南宁", 2), ("海南", "海口", 1)),
    *(("湖北", "武汉", 11), ("湖南", "长沙", 8), ("河南", "郑州", 6), ("四川", "成都", 17), ("重庆", "重庆", 10)),
    *(("贵州", "贵阳", 2), ("云南", "昆明", 2), ("西藏", "拉萨", 1), ("陕西", "西安", 8), ("甘肃", "兰州", 1)),
    *(("青海", "西宁", 1), ("宁夏", "银川", 1), ("新疆", "乌鲁木齐", 1), ("辽宁", "沈阳", 5), ("吉林", "长春", 2)),
    *(("黑龙江", "哈尔滨", 2), ("香港", "香港", 1)),
]
INDUSTRIES = [
    ("教育", 4),
    ("医疗", 4),
    ("金融", 4),
    ("互联网", 5),
    ("餐饮", 3),
    ("酒店", 3),
    ("旅游", 2),
    ("制造", 3),
    ("法律", 1),
]
EFFECTS = ["补水", "抗老", "美白", "舒缓", "防晒", "洗护"]
CHANNELS = ["门店", "小程序", "天猫", "直播间"]

# 类别：多少人、几天买一次、一次花多少、爱用优惠的程度
KINDS = [
    ("忠实", 14, 18, 330, 0.10),
    ("常客", 25, 42, 260, 0.15),
    ("追优惠", 12, 55, 190, 0.45),
    ("偶尔", 24, 130, 210, 0.15),
    ("一次", 11, 0, 180, 0.25),
    ("未购", 8, 0, 0, 0.0),
    ("企业", 6, 75, 2600, 0.05),
]


class Chance:
    """只用 random()：它在各版本的 Python 里给出同一串数。"""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed).random

    def pick(self, choices: Sequence[tuple[T, float]]) -> T:
        left = self.random() * sum(weight for _, weight in choices)
        for choice, weight in choices:
            left -= weight
            if left < 0:
                return choice
        return choices[-1][0]

    def one(self, choices: Sequence[T]) -> T:
        return choices[int(self.random() * len(choices))]

    def between(self, low: int, high: int) -> int:
        return low + int(self.random() * (high - low + 1))

    def about(self, middle: float, spread: float) -> float:
        """对数大致为正态分布的数。"""
        return middle * math.exp(spread * (sum(self.random() for _ in range(12)) - 6))


class Shop:
    """造出来的全部数据。"""

    def __init__(self) -> None:
        self.chance = Chance(20260630)
        self.customers: list[Row] = []
        self.orders: list[tuple[datetime, Row]] = []
        self.visits: list[tuple[datetime, Row]] = []
        self.services: list[tuple[datetime, Row]] = []
        for number in range(1001, 1001 + CUSTOMERS):
            self.customer(number)

    def moment(self, day: date) -> datetime:
        hour, minute, second = self.chance.between(8, 22), self.chance.between(0, 59), self.chance.between(0, 59)
        return datetime(day.year, day.month, day.day, hour, minute, second)

    def customer(self, number: int) -> None:
        chance = self.chance
        kind, gap, price, thrift = chance.pick([(it[:1] + it[2:], it[1]) for it in KINDS])
        joined = FIRST + timedelta(days=chance.between(-300, 880))
        province, city = chance.pick([(it[:2], it[2]) for it in CITIES])
        if number - 1001 < len(CITIES):
            province, city, _ = CITIES[number - 1001]
        elif chance.random() < 0.08:
            province = city = ""
        born: object = date(1958, 1, 1) + timedelta(days=chance.between(0, 17_500))
        industry = chance.pick(INDUSTRIES) if kind == "企业" or chance.random() < 0.12 else ""
        if chance.random() < 0.14:
            born = ""
        home = chance.one(CHANNELS)
        consent = "true" if chance.random() < 0.85 else "false"
        sex = "" if chance.random() < 0.05 else chance.pick([("女", 78), ("男", 22)])
        test = "true" if number == 1160 else "false"
        self.customers.append((number, sex, born, province, city, industry, joined, home, consent, test))
        self.life(number, kind, gap, price, thrift, max(joined, FIRST), home)

    def life(self, number: int, kind: str, gap: int, price: int, thrift: float, joined: date, home: str) -> None:
        chance = self.chance
        favourite = chance.one(EFFECTS)
        effects = [(effect, 6.0 if effect == favourite else 1.0) for effect in EFFECTS]
        ends = LAST if chance.random() < 0.6 else joined + timedelta(days=chance.between(30, 900))
        # 走了又回来的人
        returns = ends + timedelta(days=chance.between(190, 320)) if ends < LAST and chance.random() < 0.25 else None
        growing = chance.random() < 0.15
        day = joined + timedelta(days=chance.between(0, 20))
        bought = 0
        while kind != "未购" and day <= LAST:
            if day > ends:
                if returns is None:
                    break
                day, ends, returns = max(day, returns), LAST, None
                continue
            self.order(number, day, home, price * (1.8 if growing and (LAST - day).days < 90 else 1), thrift, effects)
            bought += 1
            if kind == "一次":
                break
            day += timedelta(days=max(1, round(chance.about(gap, 0.55))))
            if chance.random() < thrift:  # 等到大促再买
                day = next((start for start in sales(day) if 0 <= (start - day).days < 25), day)
        self.look(number, kind, ends, effects)
        self.serve(number, kind, bought, joined, min(ends, LAST))

    def order(
        self, number: int, day: date, home: str, price: float, thrift: float, effects: Sequence[tuple[str, float]]
    ) -> None:
        chance = self.chance
        full = round(chance.about(price, 0.45), 2)
        sale = any(0 <= (day - start).days < 18 for start in sales(day - timedelta(days=18)))
        off = round(full * min(0.6, thrift * (1.3 if sale else 0.7) * 2 * chance.random()), 2)
        status = chance.pick([("已完成", 92), ("已退款", 5), ("已取消", 3)])
        channel = home if chance.random() < 0.75 else chance.one(CHANNELS)
        row = (number, f"{full - off:.2f}", f"{off:.2f}", status, channel, chance.pick(effects))
        self.orders.append((self.moment(day), row))

    def look(self, number: int, kind: str, ends: date, effects: Sequence[tuple[str, float]]) -> None:
        """浏览只留最近半年。"""
        chance = self.chance
        busy = {"忠实": 14, "常客": 9, "追优惠": 12, "偶尔": 5, "一次": 3, "未购": 5, "企业": 2}[kind]
        for _ in range(chance.between(0, 2 * busy)):
            day = LAST - timedelta(days=chance.between(0, 180))
            if day <= ends + timedelta(days=60):
                self.visits.append((self.moment(day), (number, chance.pick(effects))))

    def serve(self, number: int, kind: str, bought: int, joined: date, ends: date) -> None:
        chance = self.chance
        if not bought or ends <= joined:
            return
        spa = chance.random() < (0.4 if kind == "忠实" else 0.12)
        fussy = bought >= 3 and chance.random() < 0.1
        for _ in range(chance.between(3, 9) if spa or fussy else chance.between(0, 1 + bought // 12)):
            what = "护理预约" if spa else chance.pick([("咨询", 1 if fussy else 5), ("退换", 3), ("投诉", 2)])
            score = chance.pick([(5, 6), (4, 4), (3, 1)] if spa else [(5, 3), (4, 3), (3, 2), (2, 2), (1, 2)])
            day = joined + timedelta(days=chance.between(0, (ends - joined).days))
            self.services.append((self.moment(day), (number, what, score if chance.random() < 0.8 else "")))


def sales(day: date) -> list[date]:
    """这一天以后的大促：618 和双11。"""
    found = [date(year, month, 1) for year in (day.year, day.year + 1) for month in (6, 11)]
    return [start for start in found if start >= day]


def write(name: str, heads: Sequence[str], rows: Iterable[Row]) -> None:
    with open(FOLDER / name, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows(rows)


def main() -> None:
    shop = Shop()
    # 两张订单的客户已经销户，表里找不到。
    for day in (date(2025, 3, 8), date(2026, 2, 14)):
        shop.orders.append(
            (datetime(day.year, day.month, day.day, 12), (999, "99.00", "0.00", "已完成", "天猫", "补水"))
        )
    heads = ["客户号", "性别", "生日", "省份", "城市", "行业", "注册日期", "注册渠道", "接受营销", "测试账号"]
    write("customers.csv", heads, shop.customers)
    heads = ["订单号", "下单时间", "客户号", "实付", "优惠", "状态", "渠道", "功效"]
    numbered = enumerate(sorted(shop.orders), start=100_001)
    write("orders.csv", heads, ((number, moment, *row) for number, (moment, row) in numbered))
    write("visits.csv", ["访问时间", "客户号", "功效"], ((moment, *row) for moment, row in sorted(shop.visits)))
    heads = ["服务时间", "客户号", "类型", "满意度"]
    by_time = sorted(shop.services, key=lambda it: (it[0], str(it[1])))
    write("services.csv", heads, ((moment, *row) for moment, row in by_time))


if __name__ == "__main__":
    main()

"""What nobody would write but to do harm: whatever comes in, a diagnostic comes out, at a bounded cost."""

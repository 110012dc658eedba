"""What is measured on weights and activity: functions of arrays, each beside its nulls."""

"""Arrays in, arrays out: what each model would make of each prompt. Knows no gateway."""

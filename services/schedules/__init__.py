"""When schedules fire: in words, in instants, and as Temporal has to be told."""

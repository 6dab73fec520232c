"""What a deploy would do, said before it does it; nothing here writes."""

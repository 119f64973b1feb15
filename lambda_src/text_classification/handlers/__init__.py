"""The functions that Lambda calls: parse, one call, respond."""

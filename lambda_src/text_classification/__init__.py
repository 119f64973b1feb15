"""What runs in Lambda: handlers parse and answer, logic decides, gateways call AWS."""

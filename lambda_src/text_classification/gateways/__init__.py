"""The AWS services that the functions call, behind Protocols."""

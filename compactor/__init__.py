"""Keeps Delta Lake tables read-optimised while other engines keep writing."""

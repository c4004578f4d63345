"""Segments changed by a person: filtered, pointed at, snapped to, their edges refined."""

"""One file a hop; thin. Rules live in `streams.core`, machinery in `streams.engine`."""

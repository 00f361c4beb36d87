# The order of the folders, self-contained headers, nobody but src/env calls the operating system.
exec tools/layers "$LEAT_BUILD"

#!/bin/sh
# Installs the baseline of the bench for places, Python's shapely, into an environment of its own in the folder that is
# given (the bench looks in target/shapely). Does nothing if it is there.
set -eu
folder=${1:?the folder to make, such as target/shapely}
wanted="shapely==2.2.0 numpy==2.4.6"
if [ -f "$folder/made" ] && [ "$(cat "$folder/made")" = "$wanted" ]; then
	exit 0
fi
python3 -m venv "$folder"
# shellcheck disable=SC2086 # a list of packages
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check $wanted
echo "$wanted" >"$folder/made"

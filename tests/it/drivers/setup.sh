#!/bin/sh
# Makes the Python environment of the drivers in the folder that is given (tests look in target/drivers).
# Does nothing if it is there and fits requirements.txt. Wheels exist for the packages that are not plain
# Python; to build xmlsec from source, Debian needs libxml2-dev, libxmlsec1-dev and pkg-config.
set -eu
here=$(dirname "$0")
folder=${1:?the folder to make, such as target/drivers}
if [ -f "$folder/made" ] && cmp -s "$here/requirements.txt" "$folder/made"; then
	exit 0
fi
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
cp "$here/requirements.txt" "$folder/made"

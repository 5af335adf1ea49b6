#!/usr/bin/env python3
"""Makes bridge/data/us_counties.bin from the county file inside the PyPI package plotly-geo 1.0.0.

    pip download --no-deps plotly-geo==1.0.0
    pip install pyshp shapely
    scripts/geodata_us.py plotly_geo-1.0.0-py3-none-any.whl bridge/data/us_counties.bin

The file is cb_2016_us_county_500k (US Census Bureau, public domain): 3,233 counties, NAD83. It has the former
census area 02261 (Valdez-Cordova), which is 02063 and 02066 today; the split line is not in it, so 02261 stays.
Lines are simplified as a coverage, so that neighbours keep the same line, and quantised to 1e-5 degree.
The layout of the file is described in bridge/src/translate/geography/format.rs.
"""

import hashlib
import io
import sys
import zipfile

import shapefile
import shapely

UNITS_PER_DEGREE = 100_000
TOLERANCE_DEGREES = 0.0016  # side of the smallest triangle that is kept: lines move by about 100 m at most
LAYER_US_COUNTIES = 1
INSIDE = "_plotly_geo/package_data/cb_2016_us_county_500k"


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def text(s):
    raw = s.encode()
    return varint(len(raw)) + raw


def rings_of(shape):
    """Rings of quantised points, without the closing point; rings that collapse are dropped."""
    parts = shape.geoms if shape.geom_type == "MultiPolygon" else [shape]
    for part in parts:
        for ring in (part.exterior, *part.interiors):
            points = []
            for lon, lat in ring.coords:
                point = (round(lon * UNITS_PER_DEGREE), round(lat * UNITS_PER_DEGREE))
                if not points or points[-1] != point:
                    points.append(point)
            if len(points) > 1 and points[0] == points[-1]:
                points.pop()
            if len(points) >= 3:
                yield points


def arcs_of(all_rings):
    """Cuts rings where more than two lines meet; a line that two rings share is kept once."""
    beside = {}
    for rings in all_rings:
        for ring in rings:
            for i, point in enumerate(ring):
                beside.setdefault(point, set()).update((ring[i - 1], ring[(i + 1) % len(ring)]))
    arcs, known, features = [], {}, []
    for rings in all_rings:
        feature = []
        for ring in rings:
            cuts = [i for i, point in enumerate(ring) if len(beside[point]) != 2]
            if not cuts:
                first = ring.index(min(ring))
                pieces = [ring[first:] + ring[:first] + [ring[first]]]
                if pieces[0][1] > pieces[0][-2]:
                    pieces[0].reverse()
            else:
                ring = ring[cuts[0]:] + ring[:cuts[0]]
                cuts = [c - cuts[0] for c in cuts] + [len(ring)]
                ring = ring + [ring[0]]
                pieces = [ring[a:b + 1] for a, b in zip(cuts, cuts[1:])]
            refs = []
            for piece in pieces:
                forward, back = tuple(piece), tuple(reversed(piece))
                if forward in known:
                    refs.append(known[forward] << 1)
                elif back in known:
                    refs.append(known[back] << 1 | 1)
                else:
                    known[forward] = len(arcs)
                    refs.append(len(arcs) << 1)
                    arcs.append(piece)
            feature.append(refs)
        features.append(feature)
    return arcs, features


def encode(arcs, features, names):
    out = io.BytesIO()
    out.write(text("US Census Bureau, cb_2016_us_county_500k (public domain), by way of PyPI plotly-geo 1.0.0"))
    out.write(varint(1))  # layers
    out.write(varint(LAYER_US_COUNTIES))
    out.write(varint(UNITS_PER_DEGREE))
    out.write(varint(len(arcs)))
    lon = lat = 0
    for arc in arcs:
        out.write(varint(len(arc)))
        for x, y in arc:
            out.write(zigzag(x - lon) + zigzag(y - lat))
            lon, lat = x, y
    out.write(varint(len(features)))
    for (code, name), rings in zip(names, features):
        out.write(text(code) + text(name) + varint(len(rings)))
        for refs in rings:
            out.write(varint(len(refs)) + b"".join(varint(r) for r in refs))
    out.write(varint(0))  # places without a shape
    return out.getvalue()


def main(package, target):
    with zipfile.ZipFile(package) as archive:
        files = {end: io.BytesIO(archive.read(f"{INSIDE}.{end}")) for end in ("shp", "dbf")}
    counties = sorted(shapefile.Reader(**files).iterShapeRecords(), key=lambda c: c.record["GEOID"])
    shapes = [shapely.make_valid(shapely.geometry.shape(c.shape.__geo_interface__)) for c in counties]
    shapes = shapely.coverage_simplify(shapes, TOLERANCE_DEGREES)
    arcs, features = arcs_of([list(rings_of(s)) for s in shapes])
    body = encode(arcs, features, [(c.record["GEOID"], c.record["NAME"]) for c in counties])
    with open(target, "wb") as out:
        out.write(b"CAPBGEO\x01" + hashlib.sha256(body).digest() + body)
    print(f"{len(features)} counties, {sum(map(len, arcs))} points, {len(body) + 40} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])

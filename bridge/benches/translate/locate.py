"""Which boundaries each polygon shares at least 0.5 km2 with: shapely 2 with an STRtree, as one would write it.

Arguments: a file of boundaries (code, tab, rings), a file of polygons. Then, for each number of seconds on standard
input, runs over all polygons again and again for that long and writes polygons per second.
"""

import functools
import math
import sys
import time

import numpy
import shapely

KM2_PER_SQUARE_DEGREE = 111.195**2
COUNTS_KM2 = 0.5


def ring(text):
    points = [tuple(map(float, pair.split(" "))) for pair in text.split(",")]
    return points if points[0] == points[-1] else points + points[:1]


def boundary(text):
    # Even-odd: a ring inside another is a hole.
    rings = [ring(r) for r in text.split(";")]
    try:
        return shapely.build_area(shapely.multilinestrings([shapely.linestrings(r) for r in rings]))
    except shapely.errors.GEOSException:
        # Rings that cross themselves.
        return functools.reduce(shapely.symmetric_difference, [shapely.make_valid(shapely.polygons(r)) for r in rings])


def read(path, make):
    with open(path, encoding="utf-8") as lines:
        return [make(line.rstrip("\n")) for line in lines if line.strip()]


def main():
    rows = read(sys.argv[1], lambda line: line.split("\t"))
    codes = numpy.array([code for code, _ in rows])
    shapes = numpy.array([shapely.make_valid(boundary(text)) for _, text in rows])
    polygons = read(sys.argv[2], lambda line: shapely.make_valid(shapely.polygons(ring(line))))
    tree = shapely.STRtree(shapes)
    shapely.prepare(shapes)

    def locate(polygon):
        found = tree.query(polygon, predicate="intersects")
        areas = shapely.area(shapely.intersection(shapes[found], polygon))
        middle = polygon.bounds[1] + polygon.bounds[3]
        areas *= KM2_PER_SQUARE_DEGREE * math.cos(math.radians(middle / 2))
        return codes[found[areas >= COUNTS_KM2]]

    found = sum(len(locate(polygon)) for polygon in polygons)
    print(f"{shapely.__version__}, {len(codes)} boundaries, {found} places found", flush=True)
    for line in sys.stdin:
        seconds, count, start = float(line), 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            for polygon in polygons:
                locate(polygon)
            count += len(polygons)
        print(count / (time.perf_counter() - start), flush=True)


main()

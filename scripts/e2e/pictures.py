"""Makes the documentation's pictures from what scripts/pages.sh has left: pictures.py FOLDER docs/screens

Needs the package pillow.
"""

import os
import sys

from PIL import Image

NAMES = ["home", "data", "editor", "plan", "waiting", "result", "inbox", "request", "datasets", "policy",
         "node", "audit", "transparency"]
WIDTH, HEIGHT_MOST, COLOURS = 900, 1500, 48

source, target = sys.argv[1:]
os.makedirs(target, exist_ok=True)
for name in NAMES:
    picture = Image.open(f"{source}/{name}-light.png").convert("RGB")
    width, height = picture.size
    picture = picture.crop((0, 0, width, min(height, HEIGHT_MOST)))
    size = (WIDTH, round(picture.size[1] * WIDTH / width))
    picture = picture.resize(size, Image.LANCZOS).quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(f"{target}/{name}.png", optimize=True)

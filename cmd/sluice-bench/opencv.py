"""A chain of OpenCV's filters on the first OpenCL device: one measurement as JSON, none where OpenCV is not installed."""
import json
import os
import sys
import time

os.environ["OPENCV_OPENCL_DEVICE"] = ":CPU:"  # OpenCV looks for a GPU else
try:
    import cv2
    import numpy
except ImportError:
    print("[]")
    sys.exit()

FRAMES = 20
HEIGHT, WIDTH = 1080, 1920


def chain(frame):
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    blurred = cv2.GaussianBlur(grey, (7, 7), 1.5)
    edges = cv2.convertScaleAbs(cv2.Sobel(blurred, cv2.CV_16S, 1, 0))
    small = cv2.resize(edges, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_LINEAR)
    binary = cv2.threshold(small, 40, 255, cv2.THRESH_BINARY)[1]
    return cv2.morphologyEx(binary, cv2.MORPH_CLOSE, numpy.ones((5, 5), numpy.uint8))


frame = numpy.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=numpy.uint8)
begin = time.perf_counter()
cv2.ocl.setUseOpenCL(True)
if not cv2.ocl.useOpenCL():
    sys.exit("OpenCV uses no OpenCL device")
for _ in range(FRAMES):
    result = chain(cv2.UMat(frame)).get()
elapsed_us = (time.perf_counter() - begin) * 1e6

# Without a device OpenCV rounds otherwise, which a threshold turns into few other pixels.
cv2.ocl.setUseOpenCL(False)
differing = numpy.count_nonzero(result != chain(frame)) / result.size
if differing > 0.01:
    sys.exit(f"{differing:.1%} of the pixels are not those of OpenCV without a device")
print(json.dumps([{"Name": "app_opencv", "Samples": [elapsed_us]}]))

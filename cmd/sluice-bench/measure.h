// Measurements of an OpenCL driver, whichever the loader finds. Times are in
// microseconds.
#ifndef MEASURE_H
#define MEASURE_H

#include <stddef.h>

// One measurement: its name, and how to take one sample.
struct measure {
	const char *name;
	int samples;
	double (*sample)(void);
};

extern const struct measure measures[];

// Sets up platform to queue and returns how long it took, then makes what the
// measurements use. Returns a negative number and says why on stderr where the
// driver refuses.
double measure_start(void);

// A moment in time.
double measure_now_us(void);

// Multiplies matrices with CLBlast, from platform to result, and returns how long
// it took; a negative number where the library is not installed.
double measure_clblast(void);

// Builds a program, launches its kernel for the first time and returns how long
// both took. Programs of different numbers differ.
double measure_build(unsigned number);

// Launches kernels without waiting, in batches, and returns how many a second.
double measure_rate(double seconds);

#endif

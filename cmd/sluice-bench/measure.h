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

#endif

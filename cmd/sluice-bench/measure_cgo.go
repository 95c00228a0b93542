package main

// #cgo CFLAGS: -std=gnu11 -O2
// #cgo LDFLAGS: -l:libOpenCL.so.1
// #include "measure.h"
// static const struct measure *first(void) { return measures; }
// static const struct measure *next(const struct measure *m) { return m + 1; }
// static double take(const struct measure *m) { return m->sample(); }
import "C"

// measurement is the samples of one name, in microseconds.
type measurement struct {
	Name    string
	Samples []float64
}

// measureAll takes every measurement on the driver that the loader finds. What
// the driver refuses ends the program with status 3.
func measureAll() []measurement {
	all := []measurement{{Name: "startup", Samples: []float64{float64(C.measure_start())}}}
	for m := C.first(); m.name != nil; m = C.next(m) {
		taken := measurement{Name: C.GoString(m.name)}
		for range int(m.samples) / 10 {
			C.take(m)
		}
		for range int(m.samples) {
			taken.Samples = append(taken.Samples, float64(C.take(m)))
		}
		all = append(all, taken)
	}
	return all
}

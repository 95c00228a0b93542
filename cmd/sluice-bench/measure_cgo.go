package main

// #cgo CFLAGS: -std=gnu11 -O2
// #cgo LDFLAGS: -l:libOpenCL.so.1
// #include "measure.h"
// static const struct measure *first(void) { return measures; }
// static const struct measure *next(const struct measure *m) { return m + 1; }
// static double take(const struct measure *m) { return m->sample(); }
import "C"

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
)

const (
	coldBuilds  = 3
	rateSeconds = 1
)

// measurement is the samples of one name, in microseconds.
type measurement struct {
	Name    string
	Samples []float64
}

// measureAll takes every measurement on the driver that the loader finds. The
// program of the number seen has been built before, unless this run is to build
// it first. What the driver refuses ends the program with status 3.
func measureAll(seen uint) []measurement {
	all := []measurement{{Name: "startup", Samples: []float64{float64(C.measure_start())}}}
	if seen != 0 {
		all = append(all, measurement{Name: "build_again", Samples: []float64{float64(C.measure_build(C.uint(seen)))}})
	}
	cold := measurement{Name: "build_cold"}
	for range coldBuilds {
		cold.Samples = append(cold.Samples, float64(C.measure_build(C.uint(rand.Uint32()|1))))
	}
	all = append(all, cold)
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

// measureApps runs whole programs with the libraries that are installed.
func measureApps() []measurement {
	apps := []measurement{}
	if elapsed := float64(C.measure_clblast()); elapsed >= 0 {
		apps = append(apps, measurement{Name: "app_clblast", Samples: []float64{elapsed}})
	}
	return apps
}

// buildOnce builds the program of a number, so that it has been built before.
func buildOnce(number uint) []measurement {
	C.measure_start()
	return []measurement{{Name: "build_first", Samples: []float64{float64(C.measure_build(C.uint(number)))}}}
}

// measureRate says that it is ready, waits for a line, and then counts how many
// kernels a second pass.
func measureRate(in io.Reader, out io.Writer) error {
	C.measure_start()
	C.measure_rate(0)
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return fmt.Errorf("saying that this client is ready: %w", err)
	}
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return fmt.Errorf("waiting for the start: %w", err)
	}
	_, err := fmt.Fprintln(out, float64(C.measure_rate(rateSeconds)))
	if err != nil {
		return fmt.Errorf("telling the rate: %w", err)
	}
	return nil
}

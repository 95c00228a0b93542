package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"sluice/broker/device"
)

// vdevBench compares an OpenCL program's calls through sluice with the bare
// driver, round by round in turn, so that a neighbour's load meets both.
type vdevBench struct {
	sluice, json string
	rounds       int
}

// python is Debian's, whose packages the programs use.
const python = "/usr/bin/python3"

//go:embed opencv.py
var opencvProgram string

// vdevTargets are what each row is to reach: a ratio, or microseconds through sluice.
var vdevTargets = map[string]string{
	"startup":        "<= 0.15x",
	"build_cached":   "<= 0.10x",
	"nop_finish":     "<= 2.00x",
	"nop_pipelined":  "<= 1.20x",
	"enqueue":        "<= 0.2 us",
	"set_arg":        "<= 0.1 us",
	"device_info":    "<= 0.1 us",
	"retain_release": "<= 0.1 us",
	"write_4B":       "<= 2.00x",
	"read_4B":        "<= 2.00x",
	"write_1MiB":     "<= 1.11x",
	"read_1MiB":      "<= 1.11x",
	"write_64MiB":    "<= 1.11x",
	"read_64MiB":     "<= 1.11x",
	"map_4KiB":       "<= bare + 15 us",
	"map_16MiB":      "<= bare + 15 us",
	"clients_8":      ">= 0.90x",
	"app_clblast":    "<= 1.03x",
	"app_opencv":     "<= 1.03x",
}

// row is one line of a table. Times are medians in microseconds, lower is
// better; rates are per second; Ratio is Ours / Baseline; Load is the machine's mean of one minute.
type row struct {
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`
	Baseline float64 `json:"baseline"`
	Ours     float64 `json:"ours"`
	Ratio    float64 `json:"ratio"`
	Load     float64 `json:"load"`
	Target   string  `json:"target,omitempty"`

	bestBaseline, bestOurs float64
}

func (b *vdevBench) run(ctx context.Context) error {
	tested, err := startDaemon(ctx, b.sluice)
	if err != nil {
		return err
	}
	defer tested.stop()
	sides := vdevSides(tested)
	rows, err := b.rows(ctx, sides)
	if err != nil {
		return err
	}
	clients, err := b.clients(ctx, sides)
	if err != nil {
		return err
	}
	apps, err := b.apps(ctx, sides)
	if err != nil {
		return err
	}
	rows = append(append(rows, clients), apps...)
	printRows(rows)
	return writeRows(b.json, rows)
}

// side is one way to run a program: on the bare driver, or through sluice.
type side struct {
	name        string
	self        string                     // this program
	lease       func(compute int) []string // the command before a program
	environment []string
}

// vdevSides are the bare driver, with a cache of its own, and sluice.
func vdevSides(tested *testedDaemon) [2]side {
	cache := "POCL_CACHE_DIR=" + filepath.Join(tested.state, "bare-cache")
	return [2]side{
		{name: "the bare driver", self: tested.self, lease: func(int) []string { return nil }, environment: append(os.Environ(), cache)},
		{name: "sluice", self: tested.self, lease: func(compute int) []string {
			return []string{tested.sluice, "--state", tested.state, "run", "--memory", "256Mi", "--compute", fmt.Sprint(compute), "--"}
		}},
	}
}

// start starts this program with a part of the device's compute, in thousandths. A program on the bare driver takes
// what it can get, so that the whole device is what compares with it.
func (s side) start(ctx context.Context, compute int, args ...string) *exec.Cmd {
	return s.startProgram(ctx, compute, append([]string{s.self}, args...)...)
}

// startProgram does so with any program.
func (s side) startProgram(ctx context.Context, compute int, words ...string) *exec.Cmd {
	words = append(s.lease(compute), words...)
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Env = s.environment
	return command
}

func (b *vdevBench) rows(ctx context.Context, sides [2]side) ([]row, error) {
	seen := fmt.Sprint(rand.Uint32() | 1)
	var rounds [2][][]measurement
	for _, s := range sides {
		if _, err := measure(s.start(ctx, device.ComputeWhole, "measure", "-build", seen)); err != nil {
			return nil, fmt.Errorf("building on %s: %w", s.name, err)
		}
	}
	for range b.rounds {
		for i, s := range sides {
			m, err := measure(s.start(ctx, device.ComputeWhole, "measure", "-seen", seen))
			if err != nil {
				return nil, fmt.Errorf("measuring %s: %w", s.name, err)
			}
			rounds[i] = append(rounds[i], m)
		}
	}
	return compare(rounds[0], rounds[1]), nil
}

// apps compares whole programs, which have run on each side before.
func (b *vdevBench) apps(ctx context.Context, sides [2]side) ([]row, error) {
	var rounds [2][][]measurement
	for round := range b.rounds + 1 {
		for i, s := range sides {
			m, err := measure(s.start(ctx, device.ComputeWhole, "measure", "-apps"))
			if err != nil {
				return nil, fmt.Errorf("running programs on %s: %w", s.name, err)
			}
			filters, err := measure(s.startProgram(ctx, device.ComputeWhole, python, "-c", opencvProgram))
			if err != nil {
				return nil, fmt.Errorf("running OpenCV on %s: %w", s.name, err)
			}
			m = append(m, filters...)
			if round > 0 {
				rounds[i] = append(rounds[i], m)
			}
		}
	}
	return compare(rounds[0], rounds[1]), nil
}

func measure(command *exec.Cmd) ([]measurement, error) {
	out, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		return nil, err
	}
	var m []measurement
	if err := json.Unmarshal(out, &m); err != nil {
		return nil, fmt.Errorf("reading the samples: %w", err)
	}
	return m, nil
}

// compare joins the rounds of each side and takes their medians. A build of what
// has been built before is compared with the bare driver's own, which has a cache
// too, and with the bare driver's cold build.
func compare(bare, ours [][]measurement) []row {
	load := loadAverage()
	var rows []row
	indexes := map[string]int{}
	add := func(name string, bareIndex, ownIndex int) {
		baseline, own := joined(bare, bareIndex), joined(ours, ownIndex)
		r := row{Name: name, Unit: "us", Baseline: median(baseline), Ours: median(own), Load: load, bestBaseline: slices.Min(baseline), bestOurs: slices.Min(own)}
		r.Ratio, r.Target = r.Ours/r.Baseline, vdevTargets[name]
		rows = append(rows, r)
	}
	for i, m := range bare[0] {
		indexes[m.Name] = i
		add(m.Name, i, i)
	}
	if cold, some := indexes["build_cold"]; some {
		add("build_cached", cold, indexes["build_again"])
	}
	return rows
}

func joined(rounds [][]measurement, i int) []float64 {
	var all []float64
	for _, round := range rounds {
		all = append(all, round[i].Samples...)
	}
	return all
}

// median returns the middle of values, which it sorts.
func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func loadAverage() float64 {
	var load float64
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(strings.Fields(string(b))[0], &load)
	}
	return load
}

func printRows(rows []row) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "name\tunit\tbare\tsluice\tratio\tbest bare\tbest sluice\ttarget\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%s\t\n", r.Name, r.Unit, r.Baseline, r.Ours, r.Ratio, r.bestBaseline, r.bestOurs, r.Target)
	}
	_ = w.Flush()
	fmt.Printf("load of the machine: %.2f\n", rows[0].Load)
}

// writeRows writes rows as JSON to a file, if one is named.
func writeRows[R any](path string, rows []R) error {
	if path == "" {
		return nil
	}
	out, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the rows: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing the rows: %w", err)
	}
	if err := os.WriteFile(path, append(out, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the rows: %w", err)
	}
	return nil
}

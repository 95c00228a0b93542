package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// readyTimeout bounds the wait for the daemon.
const readyTimeout = 30 * time.Second

// vdevBench compares an OpenCL program's calls through sluice with the bare
// driver, round by round in turn, so that a neighbour's load meets both.
type vdevBench struct {
	sluice, json string
	rounds       int
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

	bestBaseline, bestOurs float64
}

func (b *vdevBench) run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if b.sluice == "" {
		b.sluice = filepath.Join(filepath.Dir(self), "sluice")
	}
	state, err := os.MkdirTemp("", "sluice-bench")
	if err != nil {
		return fmt.Errorf("making a state folder: %w", err)
	}
	defer os.RemoveAll(state)
	_, stop, err := serveDaemon(ctx, b.sluice, state, "--listen", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer stop()
	var bare, ours [][]measurement
	for range b.rounds {
		m, err := measure(ctx, self, "measure")
		if err != nil {
			return fmt.Errorf("measuring the bare driver: %w", err)
		}
		bare = append(bare, m)
		if m, err = measure(ctx, b.sluice, "--state", state, "run", "--memory", "512Mi", "--", self, "measure"); err != nil {
			return fmt.Errorf("measuring through sluice: %w", err)
		}
		ours = append(ours, m)
	}
	rows := compare(bare, ours)
	printRows(rows)
	return writeRows(b.json, rows)
}

// serveDaemon starts a daemon for the benchmark and waits until it lends devices.
func serveDaemon(ctx context.Context, sluice, state string, flags ...string) (pid int, stop func(), err error) {
	log, err := os.Create(filepath.Join(state, "log"))
	if err != nil {
		return 0, nil, fmt.Errorf("creating the daemon's log: %w", err)
	}
	defer log.Close()
	arguments := append([]string{"--state", state, "serve", "--sandbox", "process", "--metrics-listen", "127.0.0.1:0"}, flags...)
	daemon := exec.CommandContext(ctx, sluice, arguments...)
	daemon.Stdout, daemon.Stderr = log, log
	daemon.Cancel = func() error { return daemon.Process.Signal(os.Interrupt) }
	if err := daemon.Start(); err != nil {
		return 0, nil, fmt.Errorf("starting the daemon: %w", err)
	}
	stop = func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
	}
	for deadline := time.Now().Add(readyTimeout); ; time.Sleep(100 * time.Millisecond) {
		if exec.CommandContext(ctx, sluice, "--state", state, "devices").Run() == nil {
			return daemon.Process.Pid, stop, nil
		}
		if time.Now().After(deadline) {
			stop()
			said, _ := os.ReadFile(log.Name())
			return 0, nil, fmt.Errorf("the daemon is not ready after %v; it said:\n%s", readyTimeout, said)
		}
	}
}

func measure(ctx context.Context, program string, args ...string) ([]measurement, error) {
	out, err := exec.CommandContext(ctx, program, args...).Output()
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

// compare joins the rounds of each side and takes their medians.
func compare(bare, ours [][]measurement) []row {
	load := loadAverage()
	var rows []row
	for i, m := range bare[0] {
		baseline, own := joined(bare, i), joined(ours, i)
		r := row{Name: m.Name, Unit: "us", Baseline: median(baseline), Ours: median(own), Load: load, bestBaseline: slices.Min(baseline), bestOurs: slices.Min(own)}
		r.Ratio = r.Ours / r.Baseline
		rows = append(rows, r)
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
	fmt.Fprintln(w, "name\tbare us\tsluice us\tratio\tbest bare us\tbest sluice us\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", r.Name, r.Baseline, r.Ours, r.Ratio, r.bestBaseline, r.bestOurs)
	}
	_ = w.Flush()
	fmt.Printf("load of the machine: %.2f\n", rows[0].Load)
}

// writeRows writes rows as JSON to a file, if one is named.
func writeRows(path string, rows []row) error {
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

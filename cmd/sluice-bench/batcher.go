package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sluice/batcher/simulator"
)

// batcherBench compares batching policies with the optimum, on a simulated device.
type batcherBench struct {
	policies, curves, arrivals, loads, noise string
	json, events                             string
	requests, warmup, seeds                  int
	slowdown                                 float64
}

// batcherRow is one policy's result at one point, over all seeds.
type batcherRow struct {
	Policy       string  `json:"policy"`
	Curve        string  `json:"curve"`
	Arrivals     string  `json:"arrivals"`
	Load         float64 `json:"load"`
	Noise        float64 `json:"noise"`
	GoodputRatio float64 `json:"goodput_ratio"`
	// OnTime of Requests were answered by their deadline, of Optimum that could have been.
	OnTime   int `json:"on_time"`
	Optimum  int `json:"optimum"`
	Requests int `json:"requests"`
	Warmup   int `json:"warmup"`
	Seeds    int `json:"seeds"`
}

const (
	// maxBatcherRequests bounds one run.
	maxBatcherRequests = 1_000_000
	maxSlowdown        = 100
)

func (b *batcherBench) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("batcher", flag.ContinueOnError)
	flags.StringVar(&b.policies, "policies", "all", "policies, separated by commas, of: "+strings.Join(simulator.PolicyNames(), " "))
	flags.StringVar(&b.curves, "curves", "published", "latency curves: names, `published`, `others`, or files of lines `size milliseconds` and `slo milliseconds`")
	flags.StringVar(&b.arrivals, "arrivals", "poisson,bursty", "arrivals: poisson, bursty, poisson-mixed, bursty-mixed (deadlines of 0.6 to 2 SLO), or files with a time in seconds a line")
	flags.StringVar(&b.loads, "loads", "0.5,0.667,0.833,1,1.167,1.333,1.5", "arrival rates, in parts of the device's rate in batches that take half of the SLO")
	flags.StringVar(&b.noise, "noise", "0", "standard deviations of a batch's duration, in parts of it")
	flags.Float64Var(&b.slowdown, "slowdown", 1, "how much longer batches take for half of the time, in phases of 400 ms; the optimum is that of the fast device")
	flags.IntVar(&b.requests, "requests", 4000, "requests of a run that count")
	flags.IntVar(&b.warmup, "warmup", 2000, "requests before them, from which a policy may learn")
	flags.IntVar(&b.seeds, "seeds", 3, "runs of each point, with other arrivals")
	flags.StringVar(&b.json, "json", "", "where the rows are written as JSON")
	flags.StringVar(&b.events, "events", "", "folder for the events of every run, a CSV file each")
	return flags
}

// batcherPlan is what the flags say, read and checked.
type batcherPlan struct {
	policies     []string
	curves       []simulator.Curve
	processes    []simulator.Process
	loads, noise []float64
}

func (b *batcherBench) plan() (p batcherPlan, err error) {
	if min(b.requests, b.seeds) < 1 || b.warmup < 0 || max(b.requests, b.warmup) > maxBatcherRequests {
		return p, fmt.Errorf("requests and seeds must be at least 1, requests and warmup at most %d", maxBatcherRequests)
	}
	if !(b.slowdown >= 1 && b.slowdown <= maxSlowdown) {
		return p, fmt.Errorf("slowdown must be from 1 to %d", maxSlowdown)
	}
	p.policies = strings.Split(b.policies, ",")
	if b.policies == "all" {
		p.policies = simulator.PolicyNames()
	}
	for _, name := range strings.Split(b.curves, ",") {
		switch i := slices.IndexFunc(allCurves(), func(c simulator.Curve) bool { return c.Name == name }); {
		case name == "published":
			p.curves = append(p.curves, simulator.Published()...)
		case name == "others":
			p.curves = append(p.curves, simulator.Others()...)
		case i >= 0:
			p.curves = append(p.curves, allCurves()[i])
		default:
			curve, err := simulator.ReadCurve(name)
			if err != nil {
				return p, fmt.Errorf("curve %q is neither built in nor a file: %w", name, err)
			}
			p.curves = append(p.curves, curve)
		}
	}
	for _, name := range strings.Split(b.arrivals, ",") {
		i := slices.IndexFunc(simulator.Processes(), func(p simulator.Process) bool { return p.Name == name })
		if i >= 0 {
			p.processes = append(p.processes, simulator.Processes()[i])
			continue
		}
		trace, err := simulator.ReadTrace(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), name)
		if err != nil {
			return p, fmt.Errorf("arrivals %q are neither built in nor a file: %w", name, err)
		}
		p.processes = append(p.processes, trace)
	}
	if p.loads, err = numbers(b.loads, 0.001, 1000); err != nil {
		return p, fmt.Errorf("loads: %w", err)
	}
	if p.noise, err = numbers(b.noise, 0, 1); err != nil {
		return p, fmt.Errorf("noise: %w", err)
	}
	return p, nil
}

func allCurves() []simulator.Curve { return append(simulator.Published(), simulator.Others()...) }

func numbers(list string, least, most float64) (values []float64, err error) {
	for _, text := range strings.Split(list, ",") {
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || !(value >= least && value <= most) {
			return nil, fmt.Errorf("%q is not a number from %g to %g", text, least, most)
		}
		values = append(values, value)
	}
	return values, nil
}

func (b *batcherBench) run(ctx context.Context) error {
	plan, err := b.plan()
	if err != nil {
		return err
	}
	if b.events != "" {
		if err := os.MkdirAll(b.events, 0o755); err != nil {
			return err
		}
	}
	var rows []batcherRow
	for _, curve := range plan.curves {
		for _, process := range plan.processes {
			for _, load := range plan.loads {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				point, err := b.measure(plan, curve, process, load)
				if err != nil {
					return err
				}
				rows = append(rows, point...)
			}
		}
	}
	printBatcher(os.Stdout, plan, rows)
	if b.json == "" {
		return nil
	}
	file, err := os.Create(b.json)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(file)
	encoder.SetIndent("", " ")
	return errors.Join(encoder.Encode(rows), file.Close())
}

// measure runs every policy against the same arrivals.
func (b *batcherBench) measure(plan batcherPlan, curve simulator.Curve, process simulator.Process, load float64) ([]batcherRow, error) {
	var rows []batcherRow
	for _, noise := range plan.noise {
		for _, policy := range plan.policies {
			rows = append(rows, batcherRow{
				Policy: policy, Curve: curve.Name, Arrivals: process.Name, Load: load, Noise: noise, Warmup: b.warmup, Seeds: b.seeds,
			})
		}
	}
	rate := load * curve.Capacity()
	for seed := range uint64(b.seeds) {
		setup := simulator.Setup{Curve: curve, Arrivals: process.Draw(2*seed, rate, b.requests, curve.SLO), Slowdown: b.slowdown, Seed: seed}
		if b.warmup > 0 {
			setup.Warmup = process.Draw(2*seed+1, rate, b.warmup, curve.SLO)
		}
		optimum := simulator.Optimum(curve, setup.Arrivals)
		for i := range rows {
			row := &rows[i]
			policy, err := simulator.NewPolicy(row.Policy, curve)
			if err != nil {
				return nil, err
			}
			setup.Noise = row.Noise
			outcomes, err := simulator.Run(setup, policy)
			if err != nil {
				return nil, fmt.Errorf("%s on %s, %s at %g: %w", row.Policy, curve.Name, process.Name, load, err)
			}
			row.OnTime += simulator.Goodput(outcomes)
			row.Optimum += optimum
			row.Requests += len(outcomes)
			row.GoodputRatio = float64(row.OnTime) / float64(max(row.Optimum, 1))
			if err := b.writeEvents(*row, seed, outcomes); err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

func (b *batcherBench) writeEvents(row batcherRow, seed uint64, outcomes []simulator.Outcome) error {
	if b.events == "" {
		return nil
	}
	name := fmt.Sprintf("%s_%s_%s_load%g_noise%g_seed%d.csv", row.Policy, row.Curve, row.Arrivals, row.Load, row.Noise, seed)
	file, err := os.Create(filepath.Join(b.events, name))
	if err != nil {
		return err
	}
	return errors.Join(simulator.WriteEvents(file, outcomes), file.Close())
}

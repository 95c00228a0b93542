package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/batcher/simulator"
)

// shareBench measures two functions that share a device, both the network mlp: what the first has of what it asks for while the
// second asks for all that the device can do, next to what it has alone; and in what parts they have the device where the
// first asks for more than its part.
type shareBench struct {
	liveBench
}

// sharePair is two functions and the thousandths of the device that each reserves.
type sharePair struct {
	name          string
	first, second int
}

// sharePairs all have room on one device; but one of them is idle at a time.
var sharePairs = []sharePair{{"equal", 250, 250}, {"three-to-one", 375, 125}}

// shareLoads is what the first asks for, in parts of its part of the capacity.
var shareLoads = []float64{0.5, 1.5}

const (
	// shareRows are in each request, so that the device has far more to do than those who carry requests to it.
	shareRows = 4
	// shareOverload is what the second asks for, in parts of the whole capacity.
	shareOverload = 1
)

// shareRow is one pair's result: medians of the rounds, in requests a second.
type shareRow struct {
	Pair     string  `json:"pair"`
	Arrivals string  `json:"arrivals"`
	Load     float64 `json:"load"`       // of the first, in parts of its part
	Rate     float64 `json:"rate_rps"`   // of the first
	Alone    float64 `json:"alone_rps"`  // its answers on time alone
	Beside   float64 `json:"beside_rps"` // and beside the second
	Other    float64 `json:"other_rps"`  // the second's
	Capacity float64 `json:"capacity_rps"`
	// MachineLoad is the load average afterwards.
	MachineLoad float64 `json:"machine_load"`
}

func (b *shareBench) flags() *flag.FlagSet {
	flags := b.flagsOf("share")
	flags.IntVar(&b.rounds, "rounds", 5, "times that each point is measured")
	flags.DurationVar(&b.duration, "duration", 3*time.Second, "of one measurement")
	flags.DurationVar(&b.slo, "slo", 25*time.Millisecond, "within which an answer is on time")
	return flags
}

func (b *shareBench) run(ctx context.Context) error {
	daemon, door, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer daemon.stop()
	defer door.close()
	program, err := filepath.Abs(b.function)
	if err != nil {
		return fmt.Errorf("finding the function's program: %w", err)
	}
	var rows []shareRow
	for _, pair := range sharePairs {
		first := subject{model: modelMLP, policy: pair.name + "-first", rows: shareRows}
		second := subject{model: modelMLP, policy: pair.name + "-second", rows: shareRows}
		for s, compute := range map[subject]int{first: pair.first, second: pair.second} {
			device := fmt.Sprintf("device: {api: opencl, memory: 128Mi, compute: %d}", compute)
			text := fmt.Sprintf(liveFunction, s.name(), strconv.Quote(program), device, "{policy: adaptive, max_size: 32}")
			if err := daemon.deploy(ctx, door, text, liveRequest(s)); err != nil {
				return err
			}
		}
		measured, err := b.measurePair(ctx, door, pair, first, second)
		if err != nil {
			return err
		}
		rows = append(rows, measured...)
	}
	printShares(rows)
	return writeRows(b.json, rows)
}

func (b *shareBench) measurePair(ctx context.Context, door client, pair sharePair, first, second subject) (rows []shareRow, err error) {
	var capacity float64
	for _, s := range []subject{second, first} {
		if capacity, err = closedLoop(ctx, door, s, warmUpConnections, b.duration); err != nil {
			return nil, err
		}
	}
	for _, process := range simulator.Processes()[:2] {
		for _, load := range shareLoads {
			rate := load * capacity * float64(pair.first) / float64(pair.first+pair.second)
			row, err := b.measurePoint(ctx, door, first, second, process, [2]float64{rate, shareOverload * capacity})
			if err != nil {
				return nil, err
			}
			row.Pair, row.Load, row.Capacity = pair.name, load, capacity
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// measurePoint has the first alone and both at once take turns.
func (b *shareBench) measurePoint(ctx context.Context, door client, first, second subject, process simulator.Process, rates [2]float64) (shareRow, error) {
	var alone, beside, other []float64
	for round := range b.rounds {
		seed := uint64(round)
		one, err := b.openLoop(ctx, door, first, process, rates[0], seed)
		if err != nil {
			return shareRow{}, err
		}
		var two, rest float64
		var group errgroup.Group
		group.Go(func() (err error) {
			two, err = b.openLoop(ctx, door, first, process, rates[0], seed)
			return err
		})
		group.Go(func() (err error) {
			rest, err = b.openLoop(ctx, door, second, process, rates[1], seed+1000)
			return err
		})
		if err := group.Wait(); err != nil {
			return shareRow{}, err
		}
		alone, beside, other = append(alone, one), append(beside, two), append(other, rest)
	}
	return shareRow{
		Arrivals: process.Name, Rate: rates[0], Alone: median(alone), Beside: median(beside), Other: median(other), MachineLoad: loadAverage(),
	}, nil
}

func printShares(rows []shareRow) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "pair\tarrivals\tcapacity\tload\trate\talone\tbeside\tratio\tother\tfirst's part\tmachine\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.1f\t%.0f\t%.0f\t%.0f\t%.2f\t%.0f\t%.2f\t%.1f\t\n", r.Pair, r.Arrivals, r.Capacity, r.Load, r.Rate, r.Alone, r.Beside,
			r.Beside/max(r.Alone, 1), r.Other, r.Beside/max(r.Beside+r.Other, 1), r.MachineLoad)
	}
	_ = w.Flush()
}

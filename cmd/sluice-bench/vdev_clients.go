package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"

	"sluice/broker/device"
)

// clientCount is how many programs share the device at once.
const clientCount = 8

// rateClient is one program of many, ready to start.
type rateClient struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// clients compares the kernels a second of several programs at once, summed.
func (b *vdevBench) clients(ctx context.Context, sides [2]side) (row, error) {
	var rates [2][]float64
	for range b.rounds {
		for i, s := range sides {
			rate, err := summedRate(ctx, s)
			if err != nil {
				return row{}, fmt.Errorf("measuring %d clients of %s: %w", clientCount, s.name, err)
			}
			rates[i] = append(rates[i], rate)
		}
	}
	r := row{Name: fmt.Sprintf("clients_%d", clientCount), Unit: "1/s", Load: loadAverage()}
	r.Baseline, r.Ours, r.Target = median(rates[0]), median(rates[1]), vdevTargets[r.Name]
	r.bestBaseline, r.bestOurs, r.Ratio = slices.Max(rates[0]), slices.Max(rates[1]), r.Ours/r.Baseline
	return r, nil
}

// summedRate runs the clients of one side from the moment at which all are ready.
func summedRate(ctx context.Context, s side) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all []*rateClient
	ended := 0
	defer func() {
		cancel()
		for _, c := range all[ended:] {
			_ = c.command.Wait()
		}
	}()
	for range clientCount {
		c, err := startRateClient(s.start(ctx, device.ComputeWhole/clientCount, "client"))
		if err != nil {
			return 0, err
		}
		all = append(all, c)
	}
	for _, c := range all {
		var said string
		if _, err := fmt.Fscanln(c.out, &said); err != nil || said != "ready" {
			return 0, fmt.Errorf("a client said %q: %w", said, err)
		}
	}
	for _, c := range all {
		if _, err := fmt.Fprintln(c.in, "go"); err != nil {
			return 0, fmt.Errorf("starting a client: %w", err)
		}
	}
	sum := 0.0
	for _, c := range all {
		var rate float64
		if _, err := fmt.Fscanln(c.out, &rate); err != nil {
			return 0, fmt.Errorf("reading a client's rate: %w", err)
		}
		sum += rate
	}
	// Each gives its lease back, which the next round needs.
	for _, c := range all {
		ended++
		if err := c.command.Wait(); err != nil {
			return 0, fmt.Errorf("waiting for a client's end: %w", err)
		}
	}
	return sum, nil
}

func startRateClient(command *exec.Cmd) (*rateClient, error) {
	in, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting a client: %w", err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting a client: %w", err)
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting a client: %w", err)
	}
	return &rateClient{command: command, in: in, out: bufio.NewReader(out)}, nil
}

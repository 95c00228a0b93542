package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sluice/proto/gen/inference"
)

// warmUp is how many requests each connection makes before any counts.
const warmUp = 20

// client is one connection to a server of the protocol.
type client struct {
	inference.GRPCInferenceServiceClient
	connection *grpc.ClientConn
}

func connect(target string) (client, error) {
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return client{}, fmt.Errorf("connecting to %s: %w", target, err)
	}
	return client{inference.NewGRPCInferenceServiceClient(connection), connection}, nil
}

func (c client) close() { _ = c.connection.Close() }

// load sends requests for a while, one at a time on each connection, and returns the median time of one in
// microseconds and how many were answered in a second.
func load(ctx context.Context, target string, connections int, duration time.Duration) (medianMicroseconds, rate float64, err error) {
	clients := make([]client, connections)
	for i := range clients {
		if clients[i], err = connect(target); err != nil {
			return 0, 0, err
		}
		defer clients[i].close()
	}
	if err := each(clients, func(_ int, c client) error { return infer(ctx, c, warmUp, nil) }); err != nil {
		return 0, 0, err
	}
	samples := make([][]float64, connections)
	begun := time.Now()
	end := begun.Add(duration)
	err = each(clients, func(i int, c client) error {
		for time.Now().Before(end) {
			if err := infer(ctx, c, 1, &samples[i]); err != nil {
				return err
			}
		}
		return nil
	})
	took := time.Since(begun)
	if err != nil {
		return 0, 0, err
	}
	var all []float64
	for _, of := range samples {
		all = append(all, of...)
	}
	return median(all), float64(len(all)) / took.Seconds(), nil
}

func each(clients []client, run func(int, client) error) error {
	var group errgroup.Group
	for i, c := range clients {
		group.Go(func() error { return run(i, c) })
	}
	return group.Wait()
}

// infer makes requests in turn and adds the time of each to samples.
func infer(ctx context.Context, c client, count int, samples *[]float64) error {
	for range count {
		request := simpleRequest()
		begun := time.Now()
		response, err := c.ModelInfer(ctx, request)
		took := time.Since(begun)
		if err != nil {
			return fmt.Errorf("asking %s: %w", c.connection.Target(), err)
		}
		if err := checkAnswer(response); err != nil {
			return err
		}
		if samples != nil {
			*samples = append(*samples, float64(took.Nanoseconds())/1e3)
		}
	}
	return nil
}

// cpuTime is what a process has used (proc_pid_stat(5), fields 14 and 15); nothing for process 0.
func cpuTime(pid int) (time.Duration, error) {
	const tick = 10 * time.Millisecond // sysconf(_SC_CLK_TCK) is 100 everywhere
	if pid == 0 {
		return 0, nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time: %w", err)
	}
	_, fields, _ := strings.Cut(string(text), ") ") // behind the program's name, which may hold anything
	const userField, systemField = 11, 12
	split := strings.Fields(fields)
	if len(split) <= systemField {
		return 0, fmt.Errorf("reading the CPU time: %q is too short", text)
	}
	var user, system int64
	if _, err := fmt.Sscan(split[userField]+" "+split[systemField], &user, &system); err != nil {
		return 0, fmt.Errorf("reading the CPU time: %w", err)
	}
	return time.Duration(user+system) * tick, nil
}

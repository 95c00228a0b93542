package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"sluice/proto/gen/inference"
)

// gatewayBench compares three ways to the same instance of `simple`: directly, through a gRPC proxy that passes bytes
// on, and through the gateway without batching. The ways take turns, so that a neighbour's load meets each of them.
type gatewayBench struct {
	sluice, function, json string
	rounds                 int
	duration               time.Duration // of one way in one round
	// proxy makes this process the proxy before the target; the benchmark starts it so.
	proxy string
}

// connectionCounts are the numbers of connections, each with one request at a time.
var connectionCounts = []int{1, 64}

// way is one way to the function.
type way struct {
	target string
	pid    int // of the process in between; 0: none
}

// The ways' numbers.
const (
	wayDirect = iota
	wayProxy
	wayGateway
	wayCount
)

// gatewayFunction is `simple` without a leased device, so that all ways lead to one process, and with room for every
// connection.
const gatewayFunction = `apiVersion: sluice/v1
kind: Function
name: simple
command: [%q]
resources: {cpu: 500m, memory: 256Mi}
batch: {policy: none}
scale: {min: 1, max: 1}
concurrency: 64
`

func (b *gatewayBench) run(ctx context.Context) error {
	if b.proxy != "" {
		return serveProxy(ctx, b.proxy, os.Stdout)
	}
	tested, err := startDaemon(ctx, b.sluice)
	if err != nil {
		return err
	}
	defer tested.stop()
	direct, err := b.deploy(ctx, tested)
	if err != nil {
		return err
	}
	proxy, proxyPID, stopProxy, err := startProxy(ctx, tested.self, direct)
	if err != nil {
		return err
	}
	defer stopProxy()
	rows, err := b.compare(ctx, [wayCount]way{{target: direct}, {proxy, proxyPID}, {tested.gateway, tested.pid}})
	if err != nil {
		return err
	}
	printGatewayRows(rows)
	return writeRows(b.json, rows)
}

// deploy deploys the function and returns its instance's target, once the gateway answers for it.
func (b *gatewayBench) deploy(ctx context.Context, tested *testedDaemon) (target string, err error) {
	program, err := filepath.Abs(b.function)
	if err != nil {
		return "", fmt.Errorf("finding the function's program: %w", err)
	}
	door, err := connect(tested.gateway)
	if err != nil {
		return "", err
	}
	defer door.close()
	if err := tested.deploy(ctx, door, fmt.Sprintf(gatewayFunction, program), simpleRequest()); err != nil {
		return "", err
	}
	sockets, err := filepath.Glob(filepath.Join(tested.state, "functions", "*", "function.sock"))
	if err != nil || len(sockets) != 1 {
		return "", fmt.Errorf("finding the function's socket: %d found, %w", len(sockets), err)
	}
	return "unix://" + sockets[0], nil
}

// sides are the results of one number of connections, round by round for each way: median times, rates, and the CPU time
// per request of the process in between.
type sides struct{ medians, rates, cpu [wayCount][]float64 }

func (b *gatewayBench) compare(ctx context.Context, ways [wayCount]way) ([]row, error) {
	results := make(map[int]*sides)
	for _, connections := range connectionCounts {
		results[connections] = new(sides)
	}
	for round := range b.rounds {
		for _, connections := range connectionCounts {
			for turn := range wayCount {
				i := (round + turn) % wayCount
				if err := b.measure(ctx, ways[i], i, connections, results[connections]); err != nil {
					return nil, err
				}
			}
		}
	}
	load := loadAverage()
	made := func(name, unit string, of [wayCount][]float64, baseline int) row {
		r := row{Name: name, Unit: unit, Baseline: median(of[baseline]), Ours: median(of[wayGateway]), Load: load}
		r.Ratio = r.Ours / r.Baseline
		return r
	}
	one, many := results[1], results[64]
	return []row{
		made("median_1", "us", one.medians, wayProxy),
		made("median_64", "us", many.medians, wayProxy),
		made("rps_1", "rps", one.rates, wayProxy),
		made("rps_64", "rps", many.rates, wayProxy),
		made("cpu_1", "us", one.cpu, wayProxy),
		made("cpu_64", "us", many.cpu, wayProxy),
		made("direct_median_1", "us", one.medians, wayDirect),
		made("direct_rps_64", "rps", many.rates, wayDirect),
	}, nil
}

// measure adds the results of one way in one round.
func (b *gatewayBench) measure(ctx context.Context, w way, i, connections int, side *sides) error {
	before, err := cpuTime(w.pid)
	if err != nil {
		return err
	}
	took, rate, err := load(ctx, w.target, connections, b.duration)
	if err != nil {
		return err
	}
	after, err := cpuTime(w.pid)
	if err != nil {
		return err
	}
	side.medians[i] = append(side.medians[i], took)
	side.rates[i] = append(side.rates[i], rate)
	side.cpu[i] = append(side.cpu[i], (after-before).Seconds()*1e6/(rate*b.duration.Seconds()))
	return nil
}

func printGatewayRows(rows []row) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "name\tunit\tbaseline\tgateway\tratio\tdifference\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.2f\t%+.0f\t\n", r.Name, r.Unit, r.Baseline, r.Ours, r.Ratio, r.Ours-r.Baseline)
	}
	_ = w.Flush()
	fmt.Printf("load of the machine: %.2f\n", rows[0].Load)
}

// startProxy starts the proxy as a process of its own, as the gateway is one.
func startProxy(ctx context.Context, self, target string) (address string, pid int, stop func(), err error) {
	proxy := exec.CommandContext(ctx, self, "gateway", "-proxy", target)
	proxy.Stderr = os.Stderr
	out, err := proxy.StdoutPipe()
	if err != nil {
		return "", 0, nil, fmt.Errorf("starting the proxy: %w", err)
	}
	if err := proxy.Start(); err != nil {
		return "", 0, nil, fmt.Errorf("starting the proxy: %w", err)
	}
	stop = func() {
		_ = proxy.Process.Signal(syscall.SIGTERM)
		_ = proxy.Wait()
	}
	if _, err := fmt.Fscanln(out, &address); err != nil {
		stop()
		return "", 0, nil, fmt.Errorf("reading the proxy's address: %w", err)
	}
	return address, proxy.Process.Pid, stop, nil
}

// simpleRequest adds and subtracts two vectors of 16 numbers.
func simpleRequest() *inference.ModelInferRequest {
	const bytes = 16 * 4
	request := &inference.ModelInferRequest{ModelName: "simple"}
	for _, name := range []string{"INPUT0", "INPUT1"} {
		request.Inputs = append(request.Inputs, &inference.ModelInferRequest_InferInputTensor{
			Name: name, Datatype: "INT32", Shape: []int64{1, 16},
		})
		request.RawInputContents = append(request.RawInputContents, make([]byte, bytes))
	}
	return request
}

// checkAnswer fails on an answer that is not that of simpleRequest.
func checkAnswer(response *inference.ModelInferResponse) error {
	if len(response.GetOutputs()) != 2 || len(response.GetRawOutputContents()) != 2 {
		return errors.New("the answer is not the function's")
	}
	return nil
}

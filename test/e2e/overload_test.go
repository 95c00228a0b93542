package e2e

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/inference"
)

const (
	overloadFactor = 1.5
	// overloadDeadline is of each request.
	overloadDeadline = 100 * time.Millisecond
	// overloadOnTime is the part of the requests that reached the function whose answer is on time.
	overloadOnTime = 0.99
	// overloadGrowthBytes is how much more memory the daemon may have in the second half than in the first.
	overloadGrowthBytes = 64 << 20
	// calibration is how long the capacity is measured, with so many requests under way.
	calibration         = 10 * time.Second
	calibrationRequests = 64
	mlpWidth            = 2048
)

// overload is the load of one function.
type overload struct {
	client inference.GRPCInferenceServiceClient
	tally  tally
}

func (o *overload) ask(ctx context.Context, timeout time.Duration) codes.Code {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := o.client.ModelInfer(ctx, &inference.ModelInferRequest{
		ModelName:        "mlp",
		Inputs:           []*inference.ModelInferRequest_InferInputTensor{{Name: "INPUT", Datatype: "FP32", Shape: []int64{1, mlpWidth}}},
		RawInputContents: [][]byte{make([]byte, 4*mlpWidth)},
	})
	return status.Code(err)
}

// capacity is how many requests a second are answered when there are always enough.
func (o *overload) capacity(t *testing.T) float64 {
	end := time.Now().Add(calibration)
	counts := make([]int, calibrationRequests)
	var askers sync.WaitGroup
	for i := range counts {
		askers.Go(func() {
			for time.Now().Before(end) {
				if o.ask(t.Context(), startBound) == codes.OK {
					counts[i]++
				}
			}
		})
	}
	askers.Wait()
	sum := 0
	for _, count := range counts {
		sum += count
	}
	return float64(sum) / calibration.Seconds()
}

// TestOverload sends half as many requests again as a function can answer, for OVERLOAD_S seconds: the daemon's memory stays
// bounded, and what is not shed is on time.
func TestOverload(t *testing.T) {
	seconds, err := strconv.Atoi(os.Getenv("OVERLOAD_S"))
	if err != nil {
		t.Skip("OVERLOAD_S is not set: run `make overload`")
	}
	if err := running.deploy("mlp"); err != nil {
		t.Fatal(err)
	}
	defer sluice(t, "remove", "mlp")
	connection, err := grpc.NewClient(running.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	o := &overload{client: inference.NewGRPCInferenceServiceClient(connection), tally: tally{counts: make(map[string]int)}}
	if code := o.ask(t.Context(), startBound); code != codes.OK {
		t.Fatalf("the first request: %v", code)
	}
	capacity := o.capacity(t)
	rate := overloadFactor * capacity
	t.Logf("capacity %.0f requests/s; %.0f requests/s for %d s, deadline %v", capacity, rate, seconds, overloadDeadline)
	before := running.outcomes(t)
	memory := o.send(t, rate, time.Duration(seconds)*time.Second)
	after := running.outcomes(t)
	t.Logf("what clients saw:\n%s", o.tally.String())

	answered := after["success"] - before["success"]
	admitted := after["dispatched"] - before["dispatched"]
	onTime := answered / admitted
	t.Logf("admitted %.0f, on time %.4f; goodput %.0f/s, %.2f of the capacity",
		admitted, onTime, answered/float64(seconds), answered/float64(seconds)/capacity)
	for _, what := range slices.Sorted(maps.Keys(after)) {
		t.Logf("%s: %.0f", what, after[what]-before[what])
	}
	if !(onTime >= overloadOnTime) {
		t.Errorf("%.4f of the admitted requests were on time, want %g", onTime, overloadOnTime)
	}
	half := len(memory) / 2
	first, second := highest(memory[:half]), highest(memory[half:])
	t.Logf("memory: %d MiB at most in the first half, %d MiB in the second", first>>20, second>>20)
	if second > first+overloadGrowthBytes {
		t.Errorf("memory grew from %d to %d bytes", first, second)
	}
}

// send lets requests arrive at random, and gives the daemon's memory once a second.
func (o *overload) send(t *testing.T, rate float64, duration time.Duration) (memory []int) {
	random := rand.New(rand.NewPCG(1, 2))
	var asked sync.WaitGroup
	defer asked.Wait()
	begun := time.Now()
	sample := begun
	for at := time.Duration(0); at < duration; at += time.Duration(random.ExpFloat64() / rate * float64(time.Second)) {
		time.Sleep(time.Until(begun.Add(at)))
		asked.Go(func() { o.tally.add(o.ask(t.Context(), overloadDeadline).String()) })
		if now := time.Now(); now.Sub(sample) >= time.Second {
			sample = now
			memory = append(memory, running.residentBytes(t))
		}
	}
	return memory
}

func highest(values []int) (most int) {
	for _, value := range values {
		most = max(most, value)
	}
	return most
}

var outcomePattern = regexp.MustCompile(`(?m)^sluice_(requests_total|deadline_misses_total|queue_seconds_count)\{.*\} (\S+)$`)

var labelPattern = regexp.MustCompile(`(\w+)="([^"]*)"`)

// outcomes are the daemon's counts of mlp's requests: by outcome, by the cause of a missed deadline, and those that were
// dispatched to the function.
func (s *system) outcomes(t *testing.T) map[string]float64 {
	t.Helper()
	counts := make(map[string]float64)
	for _, found := range outcomePattern.FindAllStringSubmatch(s.scrape(t), -1) {
		labels := make(map[string]string)
		for _, label := range labelPattern.FindAllStringSubmatch(found[0], -1) {
			labels[label[1]] = label[2]
		}
		if found[1] == "queue_seconds_count" {
			labels["outcome"] = "dispatched"
		}
		value, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		if labels["function"] == "mlp" {
			counts[labels["outcome"]+labels["cause"]] += value
		}
	}
	return counts
}

package runner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sluice/batcher/runner/functiontest"
)

const (
	churnCallers  = 16
	churnRequests = 60
	churnSteps    = 25
)

// TestChurn sends requests of random sizes from many callers, some of which give up, while Instances come, leave and
// die. Each request ends with its own right answer, or with an error that fits; then nothing is queued or running.
func TestChurn(t *testing.T) {
	for _, route := range []Route{{Policy: "window", MaxSize: 8, MaxWait: time.Millisecond}, {Policy: "adaptive", MaxSize: 8}, alone} {
		t.Run(route.Policy, func(t *testing.T) {
			s := newScaler()
			r := start(t, route, s)
			var instances sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			instances.Go(func() { churn(ctx, t, r) })
			var callers sync.WaitGroup
			for caller := range churnCallers {
				callers.Go(func() { callAll(t, r, caller) })
			}
			callers.Wait()
			cancel()
			instances.Wait()
			s.await(t, func(s *scaler) bool { return s.last() == [2]int{0, 0} })
			statistics, err := r.Statistics(simple)
			if err != nil {
				t.Fatal(err)
			}
			stats := statistics.GetInferenceStats()
			if total := stats.GetSuccess().GetCount() + stats.GetFail().GetCount(); total != churnCallers*churnRequests {
				t.Errorf("%d requests are in the statistics, want %d", total, churnCallers*churnRequests)
			}
		})
	}
}

func callAll(t *testing.T, r *Runner, caller int) {
	random := rand.New(rand.NewPCG(uint64(caller), 3))
	for i := range churnRequests {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		quits := random.IntN(5) == 0
		if quits {
			time.AfterFunc(time.Duration(random.IntN(2000))*time.Microsecond, cancel)
		}
		rows, first := 1+random.IntN(3), int32(caller*10_000+i*100)
		response, err := r.Infer(ctx, simple, functiontest.Request(rows, first))
		cancel()
		switch {
		case err == nil:
			functiontest.CheckSum(t, response, rows, first)
		case errors.Is(err, ErrCancelled) && quits, errors.Is(err, ErrUnavailable):
		default:
			t.Errorf("request ended with %v", err)
		}
	}
}

// churn keeps one Instance that stays, after a while, and has others come, be removed, and die, until ctx ends.
func churn(ctx context.Context, t *testing.T, r *Runner) {
	random := rand.New(rand.NewPCG(1, 4))
	for step := range churnSteps {
		name := fmt.Sprint("instance-", step)
		target, stop := functiontest.Start(t, &functiontest.Function{})
		if err := r.AddEndpoint(simple, Endpoint{Instance: name, Target: target, Concurrency: 1 + random.IntN(3)}); err != nil {
			t.Error(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(random.IntN(20)) * time.Millisecond):
		}
		if step == churnSteps-1 {
			<-ctx.Done() // the last one stays
			return
		}
		if random.IntN(2) == 0 {
			<-r.RemoveEndpoint(simple, name)
		}
		stop()
	}
}

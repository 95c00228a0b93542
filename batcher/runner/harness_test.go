package runner

import (
	"context"
	"sync"
	"testing"
	"time"

	"sluice/batcher/runner/functiontest"
	"sluice/proto/gen/inference"
)

var (
	simple = Key{Tenant: "default", Function: "simple", Version: "1"}
	// never is a window that only a full batch ends.
	never = Route{Policy: "window", MaxSize: 4, MaxWait: time.Hour, StartTimeout: time.Hour}
	alone = Route{Policy: "none", MaxSize: 1}
)

// scaler records what Demand hears.
type scaler struct {
	mu      sync.Mutex
	demands [][2]int
	failed  []string
	changed chan struct{}
}

func newScaler() *scaler { return &scaler{changed: make(chan struct{}, 1)} }

func (s *scaler) Demand(_ Key, queued, inFlight int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.demands = append(s.demands, [2]int{queued, inFlight})
	s.signal()
}

func (s *scaler) EndpointFailed(_ Key, instance string, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = append(s.failed, instance)
	s.signal()
}

func (s *scaler) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// await returns when what was heard so far satisfies the condition.
func (s *scaler) await(t *testing.T, condition func(s *scaler) bool) {
	t.Helper()
	for {
		s.mu.Lock()
		done := condition(s)
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-s.changed:
		case <-t.Context().Done():
			t.Fatal("the test ended first")
		}
	}
}

func (s *scaler) last() [2]int {
	if len(s.demands) == 0 {
		return [2]int{}
	}
	return s.demands[len(s.demands)-1]
}

// start makes a Runner with a route for simple. It is run until the test ends.
func start(t *testing.T, route Route, demand Demand) *Runner {
	t.Helper()
	return startWith(t, route, Config{Demand: demand})
}

func startWith(t *testing.T, route Route, config Config) *Runner {
	t.Helper()
	r := New(config)
	if err := r.SetRoute(simple, route); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

func serve(t *testing.T, r *Runner, f *functiontest.Function, concurrency int) (stop func()) {
	t.Helper()
	target, stop := functiontest.Start(t, f)
	if err := r.AddEndpoint(simple, Endpoint{Instance: "a", Target: target, Concurrency: concurrency}); err != nil {
		t.Fatal(err)
	}
	return stop
}

type result struct {
	response *inference.ModelInferResponse
	err      error
}

// inferLater calls Infer in a goroutine of its own.
func inferLater(ctx context.Context, r *Runner, request *inference.ModelInferRequest) <-chan result {
	results := make(chan result, 1)
	go func() {
		response, err := r.Infer(ctx, simple, request)
		results <- result{response, err}
	}()
	return results
}

package runner

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"sluice/proto/gen/inference"
)

// tallies counts what ModelStatistics reports (Triton protocol/extension_statistics.md).
type tallies struct {
	mu      sync.Mutex
	last    time.Time
	rows    uint64
	batches uint64
	success tally
	fail    tally
	reasons map[string]uint64 // of fail, in Triton's words
	queue   tally
	compute steps
	sizes   map[int]*steps
}

type tally struct{ count, ns uint64 }

func (t *tally) add(count int, each time.Duration) {
	t.count += uint64(count)
	t.ns += uint64(count) * uint64(max(each, 0))
}

func (t *tally) message() *inference.StatisticDuration {
	return &inference.StatisticDuration{Count: t.count, Ns: t.ns}
}

// steps are joining, the function's own time, and splitting.
type steps struct{ input, infer, output tally }

func (s *steps) add(count int, input, infer, output time.Duration) {
	s.input.add(count, input)
	s.infer.add(count, infer)
	s.output.add(count, output)
}

// request counts a request that has ended.
func (t *tallies) request(err error, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.fail.add(1, took)
		if t.reasons == nil {
			t.reasons = make(map[string]uint64)
		}
		t.reasons[failureReason(err)]++
	} else {
		t.success.add(1, took)
	}
}

// batch counts a Batch that succeeded.
func (t *tallies) batch(b *batch, input, infer, output time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = time.Now()
	t.rows += uint64(b.Size)
	t.batches++
	for _, c := range b.calls {
		t.queue.add(1, waited(b, c))
	}
	t.compute.add(len(b.calls), input, infer, output)
	if t.sizes == nil {
		t.sizes = make(map[int]*steps)
	}
	if t.sizes[b.Size] == nil {
		t.sizes[b.Size] = new(steps)
	}
	t.sizes[b.Size].add(1, input, infer, output)
}

// Statistics returns what happened to requests of key since its route was set, or ErrNoRoute.
func (r *Runner) Statistics(key Key) (*inference.ModelStatistics, error) {
	l, err := r.lane(key)
	if err != nil {
		return nil, err
	}
	t := &l.tallies
	t.mu.Lock()
	defer t.mu.Unlock()
	statistics := &inference.ModelStatistics{
		Name: key.Function, Version: key.Version, InferenceCount: t.rows, ExecutionCount: t.batches,
		InferenceStats: &inference.InferStatistics{
			Success: t.success.message(), Fail: t.fail.message(), Queue: t.queue.message(),
			ComputeInput: t.compute.input.message(), ComputeInfer: t.compute.infer.message(), ComputeOutput: t.compute.output.message(),
			CacheHit: new(inference.StatisticDuration), CacheMiss: new(inference.StatisticDuration),
		},
	}
	if !t.last.IsZero() {
		statistics.LastInference = uint64(t.last.UnixMilli())
	}
	for size, s := range t.sizes {
		statistics.BatchStats = append(statistics.BatchStats, &inference.InferBatchStatistics{
			BatchSize:    uint64(size),
			ComputeInput: s.input.message(), ComputeInfer: s.infer.message(), ComputeOutput: s.output.message(),
		})
	}
	slices.SortFunc(statistics.BatchStats, func(a, b *inference.InferBatchStatistics) int {
		return cmp.Compare(a.GetBatchSize(), b.GetBatchSize())
	})
	return statistics, nil
}

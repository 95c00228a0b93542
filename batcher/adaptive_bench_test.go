package batcher

import "testing"

// BenchmarkAdaptiveDecide measures decisions that wait, with 256 requests queued and a table full of sizes.
func BenchmarkAdaptiveDecide(b *testing.B) {
	a := newAdaptive(Limits{MaxSize: 32})
	const ms = 1_000_000
	now := int64(0)
	for i := range uint64(256) {
		now += ms / 8
		a.Arrive(Request{ID: i, Size: 1, Arrival: now, Deadline: now + 25*ms + int64(i)*ms/16})
	}
	s := a.classes[""]
	for range 5 {
		for size := 1; size <= 32; size++ {
			s.latency.learn(size, int64(5+size)*ms)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, wakeAt := a.next(s, now, 1, Share{}); wakeAt == Never {
			b.Fatal("no request can be served")
		}
	}
}

package simulator

import (
	"math/rand/v2"
	"testing"
)

// TestOptimumEqualsBruteForce compares with trying every sequence of every subset.
func TestOptimumEqualsBruteForce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 600 {
		n := 1 + random.IntN(6)
		curve := Curve{MaxSize: 1 + random.IntN(4), SLO: 4 + random.Int64N(12), durations: make([]int64, 5)}
		for b := 1; b <= 4; b++ {
			curve.durations[b] = 1 + random.Int64N(8) // not even monotone
		}
		arrivals := make([]Arrival, n)
		at := int64(0)
		for i := range arrivals {
			at += random.Int64N(5)
			arrivals[i] = Arrival{at, at + curve.SLO}
		}
		if got, want := Optimum(curve, arrivals), bruteForce(curve, arrivals, 0, -1<<62); got != want {
			t.Fatalf("optimum of %v with durations %v is %d, brute force finds %d", arrivals, curve.durations, got, want)
		}
	}
}

// TestOptimumBoundsMixedDeadlines checks that it stays an upper bound where deadlines are not in the order of arrivals.
func TestOptimumBoundsMixedDeadlines(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		curve := Curve{MaxSize: 3, durations: []int64{0, 3, 4, 6}}
		arrivals := make([]Arrival, 1+random.IntN(6))
		for i := range arrivals {
			at := random.Int64N(15)
			arrivals[i] = Arrival{at, at + 2 + random.Int64N(15)}
		}
		if got, least := Optimum(curve, arrivals), bruteForce(curve, arrivals, 0, -1<<62); got < least {
			t.Fatalf("bound of %v is %d, brute force finds %d", arrivals, got, least)
		}
	}
}

// bruteForce is the most of the requests not in done that a device free at free can answer on time.
func bruteForce(curve Curve, arrivals []Arrival, done uint, free int64) int {
	best := 0
	for set := uint(1); set < 1<<len(arrivals); set++ {
		if set&done != 0 {
			continue
		}
		size, start, deadline := 0, free, int64(1<<62)
		for i, a := range arrivals {
			if set>>i&1 == 1 {
				size++
				start, deadline = max(start, a.At), min(deadline, a.Deadline)
			}
		}
		if size > curve.MaxSize || start+curve.Duration(size) > deadline {
			continue
		}
		best = max(best, size+bruteForce(curve, arrivals, done|set, start+curve.Duration(size)))
	}
	return best
}

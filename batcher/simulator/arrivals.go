package simulator

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

// The bursty process changes between two rates after times that are exponential with this mean.
const (
	burstHigh  = 1.8
	burstLow   = 0.2
	burstMeanN = 200e6
)

// Process makes arrival times.
type Process struct {
	Name string
	// times returns the nanoseconds of count arrivals at a mean rate per nanosecond.
	times func(random *rand.Rand, rate float64, count int) []int64
	// spread is in which range a request's time to its deadline lies, in parts of the curve's SLO.
	spread [2]float64
}

// Processes lists those that are built in: poisson, bursty (two states of 1.8 and 0.2 times the rate, 200 ms each),
// and both with mixed deadlines, from 0.6 to 2 times the SLO.
func Processes() []Process {
	equal, mixed := [2]float64{1, 1}, [2]float64{0.6, 2}
	return []Process{
		{"poisson", poisson, equal},
		{"bursty", bursty, equal},
		{"poisson-mixed", poisson, mixed},
		{"bursty-mixed", bursty, mixed},
	}
}

// Draw makes count arrivals at a mean rate per nanosecond, for a curve's SLO, sorted by time.
func (p Process) Draw(seed uint64, rate float64, count int, slo int64) []Arrival {
	random := rand.New(rand.NewPCG(seed, 0xa7))
	arrivals := make([]Arrival, 0, count)
	for _, at := range p.times(random, rate, count) {
		part := p.spread[0]
		if p.spread[1] > part {
			part += (p.spread[1] - part) * random.Float64()
		}
		arrivals = append(arrivals, Arrival{at, at + int64(part*float64(slo))})
	}
	return arrivals
}

func poisson(random *rand.Rand, rate float64, count int) []int64 {
	times := make([]int64, count)
	at := 0.0
	for i := range times {
		at += random.ExpFloat64() / rate
		times[i] = int64(at)
	}
	return times
}

func bursty(random *rand.Rand, rate float64, count int) []int64 {
	times := make([]int64, 0, count)
	at, factor := 0.0, burstHigh
	change := random.ExpFloat64() * burstMeanN
	for len(times) < count {
		next := at + random.ExpFloat64()/(rate*factor)
		if next > change {
			at, factor = change, burstHigh+burstLow-factor
			change += random.ExpFloat64() * burstMeanN
			continue
		}
		at = next
		times = append(times, int64(at))
	}
	return times
}

// maxTraceArrivals bounds a recorded trace.
const maxTraceArrivals = 10_000_000

// ReadTrace reads recorded arrivals: one time in seconds a line, in any order; a number sign begins a comment. The
// times are stretched to the rate that is asked for, and repeated where more are asked for than there are.
func ReadTrace(name, path string) (Process, error) {
	file, err := os.Open(path)
	if err != nil {
		return Process{}, err
	}
	defer file.Close()
	var seconds []float64
	for scanner, line := bufio.NewScanner(file), 1; scanner.Scan(); line++ {
		text, _, _ := strings.Cut(scanner.Text(), "#")
		if strings.TrimSpace(text) == "" {
			continue
		}
		var at float64
		if _, err := fmt.Sscan(text, &at); err != nil || math.IsNaN(at) || math.IsInf(at, 0) {
			return Process{}, fmt.Errorf("%s:%d: want a time in seconds", path, line)
		}
		if seconds = append(seconds, at); len(seconds) > maxTraceArrivals {
			return Process{}, fmt.Errorf("%s: more than %d arrivals", path, maxTraceArrivals)
		}
	}
	slices.Sort(seconds)
	if len(seconds) < 2 || seconds[0] == seconds[len(seconds)-1] {
		return Process{}, fmt.Errorf("%s: needs at least two arrivals at different times", path)
	}
	return Process{name, replay(seconds), [2]float64{1, 1}}, nil
}

func replay(seconds []float64) func(*rand.Rand, float64, int) []int64 {
	return func(random *rand.Rand, rate float64, count int) []int64 {
		first := seconds[0]
		period := (seconds[len(seconds)-1] - first) * float64(len(seconds)) / float64(len(seconds)-1)
		stretch := float64(len(seconds)) / (period * rate)
		offset := 0
		if count < len(seconds) {
			offset = random.IntN(len(seconds) - count + 1)
		}
		times := make([]int64, count)
		for i := range times {
			index := offset + i
			round := float64(index / len(seconds))
			times[i] = int64((seconds[index%len(seconds)] - seconds[offset] + round*period) * stretch)
		}
		return times
	}
}

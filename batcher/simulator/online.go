package simulator

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
)

const (
	// maxAges bounds the steps of a Stepped device in which one that waits may have come: it has two to that power
	// states.
	maxAges = 22
	// settledLengths is over how many of the longest batches the mean gain is taken, after as many others.
	settledLengths = 12
	// rareDuration is how unlikely durations are that are left out.
	rareDuration = 1e-4
)

// Stepped is a device whose time goes in steps: in each a request comes with the same chance, or none, and batches take a
// whole number of steps. For it the best policy that does not know the future can be computed.
type Stepped struct {
	Curve Curve
	// Step is in nanoseconds.
	Step int64
	// Chance is how likely a request comes in a step.
	Chance float64
	// Noise is the standard deviation of a batch's duration in parts of it.
	Noise float64
}

// Draw makes count arrivals.
func (s Stepped) Draw(seed uint64, count int) []Arrival {
	random := rand.New(rand.NewPCG(seed, 0x57e9))
	arrivals := make([]Arrival, 0, count)
	for at := s.Step; len(arrivals) < count; at += s.Step {
		if random.Float64() < s.Chance {
			arrivals = append(arrivals, Arrival{at, at + s.Curve.SLO})
		}
	}
	return arrivals
}

// Setup is a run on this device, with so many requests that count and as many to learn from.
func (s Stepped) Setup(seed uint64, count int) Setup {
	return Setup{Curve: s.Curve, Arrivals: s.Draw(2*seed, count), Warmup: s.Draw(2*seed+1, count), Noise: s.Noise, Step: s.Step, Seed: seed}
}

// Online is the part of all requests that the best policy answers on time which knows how often they come and how long
// batches take, but not when the next one comes or how long the next one takes. The error is below one part in a thousand.
//
// It is a Markov decision process, solved backwards from a far end (value iteration, Puterman 1994, section 8.5). Its
// states are those of a free device: a bit for each age in steps, set where a request of that age waits. Batches are of
// neighbours, as in Optimum. An error says that there are too many states.
func (s Stepped) Online() (float64, error) {
	m, err := s.process()
	if err != nil {
		return 0, err
	}
	for range settledLengths * m.longest {
		m.back()
	}
	before := m.later[0][0]
	for range settledLengths * m.longest {
		m.back()
	}
	return float64(m.later[0][0]-before) / float64(settledLengths*m.longest) / s.Chance, nil
}

// process is the decision process of a Stepped device, some steps before the end.
type process struct {
	chance float32
	mask   uint32
	// durations holds the chance of each number of steps, by size; onTime the chance of a request to be on time, by the size
	// of its batch and its age when that begins.
	durations, onTime [][]float32
	longest           int
	// later[k] is what is to be gained after k more steps without the device, by state.
	later [][]float32
	// after is what is to be gained after a batch, by its size and the state that it leaves behind.
	after [][]float32
	spare []float32
}

func (s Stepped) process() (*process, error) {
	due := int(s.Curve.SLO / s.Step)
	m := &process{chance: float32(s.Chance), durations: [][]float32{nil}, onTime: [][]float32{nil}}
	shortest := due
	for size := 1; size <= s.Curve.MaxSize; size++ {
		durations := s.chances(size)
		onTime := make([]float32, due+1)
		for steps, chance := range durations {
			for age := 0; age+steps <= due; age++ {
				onTime[age] += chance
			}
			if chance > 0 {
				shortest = min(shortest, steps)
			}
		}
		if onTime[0] < 0.5 {
			break
		}
		m.durations, m.onTime = append(m.durations, durations), append(m.onTime, onTime)
		m.longest = max(m.longest, len(durations)-1)
	}
	ages := due - shortest + 1
	if m.longest == 0 || ages > maxAges {
		return nil, fmt.Errorf("requests wait for up to %d steps, of at most %d", ages, maxAges)
	}
	m.mask = 1<<ages - 1
	states := func(n int) [][]float32 {
		all := make([][]float32, n)
		for i := range all {
			all[i] = make([]float32, 1<<ages)
		}
		return all
	}
	m.later, m.after = states(m.longest+1), states(len(m.durations))
	m.spare = states(1)[0]
	return m, nil
}

// chances is how likely a batch takes each number of steps.
func (s Stepped) chances(size int) []float32 {
	mean := float64(s.Curve.Duration(size)) / float64(s.Step)
	if s.Noise == 0 {
		durations := make([]float32, int(math.Round(mean))+1)
		durations[len(durations)-1] = 1
		return durations
	}
	below := func(steps float64) float64 { return math.Erfc((mean-steps)/(mean*s.Noise)/math.Sqrt2) / 2 }
	var durations []float32
	sum := float32(0)
	for steps := 0.0; 1-below(steps-0.5) > rareDuration; steps++ {
		chance := float32(below(steps+0.5) - below(steps-0.5))
		if chance < rareDuration {
			chance = 0
		}
		durations = append(durations, chance)
		sum += chance
	}
	for steps := range durations {
		durations[steps] /= sum // else each batch would lose a part of what comes after it
	}
	return durations
}

// back goes one step further from the end.
func (m *process) back() {
	for k := m.longest; k >= 1; k-- {
		from, to := m.later[k-1], m.spare
		for state := range to {
			next := uint32(state) << 1 & m.mask
			to[state] = (1-m.chance)*from[next] + m.chance*from[next|1]
		}
		m.later[k], m.spare = to, m.later[k]
	}
	for size := 1; size < len(m.after); size++ {
		after := m.after[size]
		clear(after)
		for steps, chance := range m.durations[size] {
			if chance == 0 {
				continue
			}
			for state, value := range m.later[steps] {
				after[state] += chance * value
			}
		}
	}
	for state := range m.later[0] {
		m.later[0][state] = m.best(uint32(state))
	}
}

// best is what is to be gained of a state: by waiting for a step, or by a batch.
func (m *process) best(state uint32) float32 {
	best := m.later[1][state]
	for older := state; older != 0; {
		// Batches whose first request is the oldest of these.
		first := bits.Len32(older) - 1
		rest, size := older, 0
		for rest != 0 && size < len(m.after)-1 {
			rest &^= 1 << (bits.Len32(rest) - 1)
			size++
			gain := m.after[size][state&^(older&^rest)]
			for in := older &^ rest; in != 0; in &= in - 1 {
				gain += m.onTime[size][bits.TrailingZeros32(in)]
			}
			best = max(best, gain)
		}
		older &^= 1 << first
	}
	return best
}

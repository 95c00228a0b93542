package simulator

import (
	"math"
	"testing"
)

// TestOnlineKnowsSimpleDevices has devices whose best policy is known.
func TestOnlineKnowsSimpleDevices(t *testing.T) {
	single := func(steps, slo int64) Stepped {
		return Stepped{Curve: Curve{MaxSize: 1, SLO: slo, durations: []int64{0, steps}}, Step: 1, Chance: 0.3}
	}
	for _, c := range []struct {
		name string
		s    Stepped
		want float64
	}{
		{"always free", single(1, 1), 1},
		// Who comes while another runs is lost: after each the device waits for 1/chance steps on average.
		{"no queue", single(5, 5), 1 / (0.3 * (4 + 1/0.3))},
		{"overload", Stepped{Curve: Curve{MaxSize: 1, SLO: 15, durations: []int64{0, 3}}, Step: 1, Chance: 0.9}, 1 / (0.9 * 3)},
	} {
		if got, err := c.s.Online(); err != nil || math.Abs(got-c.want) > 1e-3 {
			t.Errorf("%s: %.4f of the requests, %v, want %.4f", c.name, got, err, c.want)
		}
	}
	if _, err := single(1, 64).Online(); err == nil {
		t.Error("64 bits of state are too few")
	}
}

// TestAdaptiveComesNearTheBestWithoutForesight compares with what no policy can surpass: the optimum of a decision process,
// where that knows how long batches take, and adaptive has to learn it.
func TestAdaptiveComesNearTheBestWithoutForesight(t *testing.T) {
	tight := Published()[4]
	for _, noise := range []float64{0, 0.08} {
		for _, load := range []float64{0.8, 1, 1.5} {
			s := Stepped{Curve: tight, Step: 1e6, Chance: load * tight.Capacity() * 1e6, Noise: noise}
			online, err := s.Online()
			if err != nil {
				t.Fatal(err)
			}
			setup := s.Setup(1, 8000)
			count := float64(len(setup.Arrivals))
			part := goodputOfAdaptive(t, setup) / count
			t.Logf("noise %g, load %g: of %.4f that are possible with foresight, %.4f are without; adaptive has %.4f of these", noise, load, float64(Optimum(tight, setup.Arrivals))/count, online, part/online)
			if part < 0.985*online {
				t.Errorf("noise %g, load %g: %.4f of the requests are on time, the best without foresight has %.4f", noise, load, part, online)
			}
		}
	}
}

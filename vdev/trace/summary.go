package trace

import (
	"cmp"
	"math"
	"slices"
)

// Total is what all calls of one name took.
type Total struct {
	Name          string  `json:"call"`
	Count         uint64  `json:"count"`
	TotalUS       float64 `json:"total_us"`
	MeanUS        float64 `json:"mean_us"`
	MaxUS         float64 `json:"max_us"`
	SentBytes     uint64  `json:"sent_bytes"`
	ReceivedBytes uint64  `json:"received_bytes"`
	Waited        uint64  `json:"waited"` // calls that waited for the worker
	Failed        uint64  `json:"failed"` // calls that returned an error
}

// Summary adds calls up by their names. Its zero value is empty.
type Summary struct{ totals map[string]*Total }

// Add counts a call.
func (s *Summary) Add(call Call) {
	if s.totals == nil {
		s.totals = make(map[string]*Total)
	}
	total := s.totals[call.Name]
	if total == nil {
		total = &Total{Name: call.Name}
		s.totals[call.Name] = total
	}
	total.Count++
	total.TotalUS = toNanosecond(total.TotalUS + call.DurationUS)
	total.MeanUS = toNanosecond(total.TotalUS / float64(total.Count))
	total.MaxUS = max(total.MaxUS, call.DurationUS)
	total.SentBytes += call.SentBytes
	total.ReceivedBytes += call.ReceivedBytes
	if call.Waits > 0 {
		total.Waited++
	}
	if call.Status != nil && *call.Status < 0 {
		total.Failed++
	}
}

// Totals lists what was counted, what took longest in all first.
func (s *Summary) Totals() []Total {
	var list []Total
	for _, total := range s.totals {
		list = append(list, *total)
	}
	slices.SortFunc(list, func(a, b Total) int {
		return cmp.Or(cmp.Compare(b.TotalUS, a.TotalUS), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// toNanosecond rounds microseconds to what the clock tells.
func toNanosecond(microseconds float64) float64 { return math.Round(microseconds*1000) / 1000 }

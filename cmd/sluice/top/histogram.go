package top

import (
	"maps"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// histogram is the sum of the histograms that match, as counts below each bound.
type histogram struct {
	count, sum float64
	below      map[float64]float64
}

func (s Sample) histogram(name string, match func(*dto.Metric) bool) histogram {
	total := histogram{below: make(map[float64]float64)}
	for _, metric := range s.families[name].GetMetric() {
		if !match(metric) {
			continue
		}
		h := metric.GetHistogram()
		total.count += float64(h.GetSampleCount())
		total.sum += h.GetSampleSum()
		for _, bucket := range h.GetBucket() {
			total.below[bucket.GetUpperBound()] += float64(bucket.GetCumulativeCount())
		}
	}
	return total
}

// since takes away what an earlier reading had already, unless the daemon was started anew in between.
func (h histogram) since(earlier histogram) histogram {
	if h.count < earlier.count {
		return h
	}
	change := histogram{h.count - earlier.count, h.sum - earlier.sum, make(map[float64]float64)}
	for bound, count := range h.below {
		change.below[bound] = count - earlier.below[bound]
	}
	return change
}

func (h histogram) mean() float64 {
	if h.count == 0 {
		return 0
	}
	return h.sum / h.count
}

// quantile assumes that values are spread evenly within a bucket, as PromQL's histogram_quantile does. Above the last bound it
// is the last bound.
func (h histogram) quantile(q float64) float64 {
	if h.count == 0 {
		return 0
	}
	rank := q * h.count
	lowerBound, lowerCount := 0.0, 0.0
	for _, bound := range slices.Sorted(maps.Keys(h.below)) {
		count := h.below[bound]
		if math.IsInf(bound, 1) {
			break
		}
		if count >= rank && count > lowerCount {
			return lowerBound + (bound-lowerBound)*(rank-lowerCount)/(count-lowerCount)
		}
		lowerBound, lowerCount = bound, count
	}
	return lowerBound
}

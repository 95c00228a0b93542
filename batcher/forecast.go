package batcher

const (
	// The rate is averaged over the arrivals of half of a request's patience, as far as that is a number in these bounds:
	// where the host was busy with something else, many come at once.
	forecastGaps, maxForecastGaps = 16, 256
	// maxPatience bounds what is taken for a request's patience, in nanoseconds.
	maxPatience = 3600e9
	// coldGaps is how many arrivals a forecast needs.
	coldGaps = 4
)

// forecast expects arrivals from those seen: averages that forget exponentially.
type forecast struct {
	last     int64
	count    int
	gap      float64
	patience float64
	rows     float64
}

// arrive takes in a request of a size with patience nanoseconds until its answer is of no use.
func (f *forecast) arrive(at, patience int64, rows int) {
	patience = min(patience, maxPatience)
	if f.count == 0 {
		f.last, f.patience, f.rows = at, float64(patience), float64(rows)
	}
	weight := 1 / min(float64(f.count+1), forecastGaps)
	f.patience += (float64(patience) - f.patience) * weight
	f.rows += (float64(rows) - f.rows) * weight
	if f.count > 0 {
		weight = 1 / f.memory()
		f.gap += (float64(max(at-f.last, 0)) - f.gap) * weight
	}
	f.last = max(f.last, at)
	f.count++
}

// memory is how many gaps are averaged.
func (f *forecast) memory() float64 {
	return min(float64(f.count), max(forecastGaps, min(f.patience/2/max(f.gap, 1), maxForecastGaps)))
}

// doubt is the variance of the rate in parts of its square: that of an average of exponential gaps whose weights fall by one
// part in memory.
func (f *forecast) doubt() float64 { return 1 / (2 * f.memory()) }

// interval is the expected nanoseconds between arrivals, from what is known at now, or 0 where nothing is.
func (f *forecast) interval(now int64) float64 {
	if f.count < coldGaps {
		return 0
	}
	silence := float64(now - f.last)
	if silence > f.gap {
		return f.gap + (silence-f.gap)/forecastGaps
	}
	return f.gap
}

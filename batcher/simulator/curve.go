package simulator

import (
	"bufio"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// maxCurveSize is the largest batch of the built-in curves.
const maxCurveSize = 32

// MaxFileCurveSize bounds the sizes in a curve's file.
const MaxFileCurveSize = 4096

// Curve says how long a batch of each size takes.
type Curve struct {
	Name    string
	MaxSize int
	// SLO is the nanoseconds from a request's arrival to its deadline.
	SLO int64
	// durations holds nanoseconds by size; index 0 is unused.
	durations []int64
}

// Duration is how long a batch takes, in nanoseconds. Sizes below 1 or above MaxSize panic.
func (c Curve) Duration(size int) int64 { return c.durations[1:][size-1] }

// Capacity is the rate in requests per nanosecond of the largest batch that takes at most half of the SLO, or of
// single requests where none does.
func (c Curve) Capacity() float64 {
	size := c.halfSLOSize()
	return float64(size) / float64(c.Duration(size))
}

func (c Curve) halfSLOSize() int {
	size := 1
	for b := 1; b <= c.MaxSize; b++ {
		if c.Duration(b) <= c.SLO/2 {
			size = b
		}
	}
	return size
}

func newCurve(name string, slo float64, milliseconds func(size int) float64) Curve {
	c := Curve{Name: name, MaxSize: maxCurveSize, SLO: nanoseconds(slo), durations: make([]int64, maxCurveSize+1)}
	for b := 1; b <= maxCurveSize; b++ {
		c.durations[b] = nanoseconds(milliseconds(b))
	}
	return c
}

func padded(size int) float64 { return float64(int(1) << bits.Len(uint(size-1))) }

// interpolate is linear between points, which are sorted by size, and proportional beyond them.
func interpolate(points [][2]float64) func(size int) float64 {
	return func(size int) float64 {
		b := float64(size)
		for i := 1; i < len(points); i++ {
			low, high := points[i-1], points[i]
			if b <= high[0] {
				return low[1] + (high[1]-low[1])*max(b-low[0], 0)/(high[0]-low[0])
			}
		}
		last := points[len(points)-1]
		return last[1] * b / last[0]
	}
}

// Published lists the five curves of the comparison: linear, a measured perceptron of four 2048 x 2048 layers, sizes
// padded to powers of two, a knee at 16, and the linear one with a tight SLO.
func Published() []Curve {
	linear := func(b int) float64 { return float64(b) + 5 }
	return []Curve{
		newCurve("linear", 25, linear),
		newCurve("mlp", 25, interpolate([][2]float64{{1, 3.63}, {2, 3.88}, {4, 4.01}, {8, 5.36}, {16, 7.53}, {32, 13.07}})),
		newCurve("padded", 25, func(b int) float64 { return padded(b) + 5 }),
		newCurve("knee", 25, func(b int) float64 { return 6 + 0.1*float64(b) + 1.5*float64(max(b-16, 0)) }),
		newCurve("tight", 14, linear),
	}
}

// Others lists curves that nothing was tuned to.
func Others() []Curve {
	return []Curve{
		newCurve("flat", 25, func(int) float64 { return 8 }),
		newCurve("steps", 40, func(b int) float64 { return 4 + 5*float64((b+4)/5) }),
		newCurve("sawtooth", 30, func(b int) float64 { // multiples of 8 are faster than what is just below them
			if b%8 == 0 {
				return 5 + 0.4*float64(b)
			}
			return 6.5 + 0.55*float64(b)
		}),
		newCurve("pays-not", 30, func(b int) float64 { return 4 * float64(b) }),
		newCurve("hurts", 40, interpolate([][2]float64{{1, 3}, {2, 6.2}, {4, 17}, {8, 46}, {16, 106}, {32, 277}})),
		newCurve("cheap", 8, func(b int) float64 { return 0.4 + 0.05*float64(b) }),
		newCurve("slow", 400, interpolate([][2]float64{{1, 55}, {2, 60}, {4, 75}, {8, 100}, {16, 165}, {32, 300}})),
	}
}

// ReadCurve reads a file of lines `size milliseconds`, with a line `slo milliseconds` among them; between its sizes
// it is linear. A number sign begins a comment.
func ReadCurve(path string) (Curve, error) {
	file, err := os.Open(path)
	if err != nil {
		return Curve{}, err
	}
	defer file.Close()
	var points [][2]float64
	var slo float64
	for scanner, line := bufio.NewScanner(file), 1; scanner.Scan(); line++ {
		text, _, _ := strings.Cut(scanner.Text(), "#")
		if strings.TrimSpace(text) == "" {
			continue
		}
		var p [2]float64
		if _, err := fmt.Sscanf(text, "slo %g", &slo); err == nil {
			continue
		}
		if _, err := fmt.Sscan(text, &p[0], &p[1]); err != nil {
			return Curve{}, fmt.Errorf("%s:%d: want `size milliseconds` or `slo milliseconds`: %w", path, line, err)
		}
		if p[0] < 1 || p[0] > MaxFileCurveSize || p[0] != float64(int(p[0])) || !(p[1] > 0 && p[1] < float64(time.Hour/time.Millisecond)) {
			return Curve{}, fmt.Errorf("%s:%d: size must be a whole number of 1 to %d, milliseconds above 0 and under an hour", path, line, MaxFileCurveSize)
		}
		points = append(points, p)
	}
	if len(points) == 0 || !(slo > 0) {
		return Curve{}, fmt.Errorf("%s: needs at least one size and a positive slo", path)
	}
	sort.Slice(points, func(i, j int) bool { return points[i][0] < points[j][0] })
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	c := Curve{Name: name, MaxSize: int(points[len(points)-1][0]), SLO: nanoseconds(slo)}
	c.durations = make([]int64, c.MaxSize+1)
	at := interpolate(points)
	for b := 1; b <= c.MaxSize; b++ {
		c.durations[b] = nanoseconds(at(b))
	}
	return c, nil
}

package dispatch

import (
	"math/rand/v2"
	"testing"
)

// oracle marks every smallBytes of an arena that is taken.
type oracle []bool

func (o oracle) mark(e extent, taken bool) bool {
	for i := e.offset / smallBytes; i < (e.offset+e.size)/smallBytes; i++ {
		if o[i] == taken {
			return false
		}
		o[i] = taken
	}
	return true
}

// any is some extent of a few bytes or many.
func (o oracle) any(random *rand.Rand) extent {
	whole := uint64(len(o)) * smallBytes
	offset := random.Uint64N(whole)
	return extent{offset, 1 + random.Uint64N(min(whole-offset, []uint64{1, smallBytes, whole}[random.IntN(3)]))}
}

// taken says whether every byte of e is.
func (o oracle) taken(e extent) bool {
	for i := e.offset / smallBytes; i*smallBytes < e.offset+e.size; i++ {
		if !o[i] {
			return false
		}
	}
	return true
}

// fits says whether size bytes have room anywhere.
func (o oracle) fits(size uint64) bool {
	g := granule(size)
	units, step := roundUp(max(size, 1), g)/smallBytes, g/smallBytes
	for start := uint64(0); start+units <= uint64(len(o)); start += step {
		free := true
		for i := start; free && i < start+units; i++ {
			free = !o[i]
		}
		if free {
			return true
		}
	}
	return false
}

// TestArenaAgainstOracle takes and gives at random: no two extents overlap, none
// is refused that fits, and in the end the arena is whole again.
func TestArenaAgainstOracle(t *testing.T) {
	const size = 64 * pageBytes
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 40 {
		a, marks := newArena(size), make(oracle, size/smallBytes)
		var taken []extent
		for range 600 {
			if asked := marks.any(random); a.taken(asked) != marks.taken(asked) {
				t.Fatalf("%+v is said to be taken: %v, free %v", asked, a.taken(asked), a.free)
			}
			if len(taken) > 0 && random.IntN(5) < 2 {
				i := random.IntN(len(taken))
				a.give(taken[i])
				if !marks.mark(taken[i], false) {
					t.Fatal("an extent was taken twice")
				}
				taken = append(taken[:i], taken[i+1:]...)
				continue
			}
			want := random.Uint64N([]uint64{300, 5000, 10 * pageBytes}[random.IntN(3)])
			e, ok := a.take(want)
			if ok != marks.fits(want) {
				t.Fatalf("%d bytes: taken %v, room %v, free %v", want, ok, !ok, a.free)
			}
			if !ok {
				continue
			}
			if e.size < want || e.offset%granule(want) != 0 || e.offset+e.size > size {
				t.Fatalf("%d bytes at %+v", want, e)
			}
			if !marks.mark(e, true) {
				t.Fatalf("%+v overlaps", e)
			}
			taken = append(taken, e)
		}
		for _, e := range taken {
			a.give(e)
		}
		if len(a.free) != 1 || a.free[0] != (extent{0, size}) {
			t.Fatalf("the arena is not whole again: %v", a.free)
		}
	}
}

// Large places keep apart as long as there is room; what lies between them is of use for small ones.
func TestLargePlacesKeepApart(t *testing.T) {
	const size = 4 * largeBytes
	a := newArena(size)
	first, _ := a.take(largeBytes)
	second, ok := a.take(largeBytes)
	if !ok || second.offset-first.offset < largeBytes+gapBytes {
		t.Fatalf("two places at %d and %d", first.offset, second.offset)
	}
	small, ok := a.take(smallBytes)
	if !ok || small.offset >= first.offset {
		t.Errorf("a small place is at %d, not in the gap before %d", small.offset, first.offset)
	}
	a.give(second)
	if _, ok := a.take(size - first.offset - largeBytes); !ok {
		t.Error("what is left to the end is refused for the sake of a gap")
	}
}

func TestArenaOfNothing(t *testing.T) {
	a := newArena(pageBytes)
	if e, ok := a.take(pageBytes + 1); ok {
		t.Errorf("took %+v of one page", e)
	}
	e, ok := a.take(0)
	if !ok || e.size != smallBytes {
		t.Errorf("nothing takes %+v, %v", e, ok)
	}
}

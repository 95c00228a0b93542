package dispatch

import "sort"

const (
	pageBytes = 4096
	// smallBytes aligns places under a page: the largest OpenCL vector type.
	smallBytes = 256
	// reserveMax bounds the places of large transfers of one Session, in bytes.
	reserveMax = 128 << 20
	// Places of largeBytes and more lie gapBytes apart where there is room, as an
	// allocator's header keeps them: buffers of a power of two that followed each
	// other would come to lie 256 MiB apart, and processors that tell addresses by
	// some of their bits alone (AMD's way predictor) are up to 15 times slower in a
	// loop over two such.
	largeBytes = 1 << 20
	gapBytes   = 16 << 10
)

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

// extent is a range of the arena, in bytes.
type extent struct{ offset, size uint64 }

// arena hands out ranges of [0, size), first fit, and joins what comes back.
// Ranges of a page and more start at a page, so that no two of them share one.
type arena struct {
	free []extent // sorted by offset, none adjacent
	once bool     // what has been taken stays so
}

func newArena(size uint64) *arena { return &arena{free: []extent{{0, size}}} }

func granule(size uint64) uint64 {
	if size >= pageBytes {
		return pageBytes
	}
	return smallBytes
}

// take finds room for size bytes. It returns false where there is none.
func (a *arena) take(size uint64) (extent, bool) {
	if size == 0 {
		size = 1
	}
	if size >= largeBytes {
		if e, ok := a.takeBehind(gapBytes, size); ok {
			return e, true
		}
	}
	return a.takeBehind(0, size)
}

// takeBehind finds room for size bytes that begins a gap after what is taken. The
// gap stays free.
func (a *arena) takeBehind(gap, size uint64) (extent, bool) {
	g := granule(size)
	size = roundUp(size, g)
	for i, f := range a.free {
		start := roundUp(f.offset+gap, g)
		skipped := start - f.offset
		if f.size < skipped || f.size-skipped < size {
			continue
		}
		rest := extent{start + size, f.size - skipped - size}
		switch {
		case skipped > 0 && rest.size > 0:
			a.free[i].size = skipped
			a.free = append(a.free, extent{})
			copy(a.free[i+2:], a.free[i+1:])
			a.free[i+1] = rest
		case skipped > 0:
			a.free[i].size = skipped
		case rest.size > 0:
			a.free[i] = rest
		default:
			a.free = append(a.free[:i], a.free[i+1:]...)
		}
		return extent{start, size}, true
	}
	return extent{}, false
}

// taken says whether nothing of e is free.
func (a *arena) taken(e extent) bool {
	i := sort.Search(len(a.free), func(i int) bool { return a.free[i].offset+a.free[i].size > e.offset })
	return i == len(a.free) || e.offset+e.size <= a.free[i].offset
}

// give returns an extent that take handed out.
func (a *arena) give(e extent) {
	if a.once {
		return
	}
	i := sort.Search(len(a.free), func(i int) bool { return a.free[i].offset > e.offset })
	a.free = append(a.free, extent{})
	copy(a.free[i+1:], a.free[i:])
	a.free[i] = e
	if i+1 < len(a.free) && e.offset+e.size == a.free[i+1].offset {
		a.free[i].size += a.free[i+1].size
		a.free = append(a.free[:i+1], a.free[i+2:]...)
	}
	if i > 0 && a.free[i-1].offset+a.free[i-1].size == e.offset {
		a.free[i-1].size += a.free[i].size
		a.free = append(a.free[:i], a.free[i+1:]...)
	}
}

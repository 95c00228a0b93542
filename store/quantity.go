package store

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// maxQuantityBytes is longer than any quantity within the limits of this package.
const maxQuantityBytes = 24

var memoryUnits = []struct {
	suffix string
	bytes  uint64
}{
	{"Ki", 1 << 10},
	{"Mi", 1 << 20},
	{"Gi", 1 << 30},
	{"Ti", 1 << 40},
	{"k", 1e3},
	{"M", 1e6},
	{"G", 1e9},
	{"T", 1e12},
	{"", 1},
}

// ParseMemory reads an amount of memory as Kubernetes writes it: "256Mi", "14.3Gi", "500M" or plain
// bytes. Parts of a byte are rounded up, as there.
func ParseMemory(text string) (uint64, error) {
	for _, unit := range memoryUnits {
		number, found := strings.CutSuffix(text, unit.suffix)
		if !found {
			continue
		}
		exact, err := scaled(number, unit.bytes)
		var amount uint64
		if err == nil {
			amount, err = roundUp(exact)
		}
		if err != nil {
			return 0, fmt.Errorf("%w: %q is not an amount of memory such as 256Mi or 1Gi: %w", ErrInvalid, clip(text), err)
		}
		return amount, nil
	}
	panic("unreachable: every text ends with the empty suffix")
}

// ParseCPU reads an amount of processor time as Kubernetes writes it ("500m", "2", "0.5") and returns
// thousandths of a core.
func ParseCPU(text string) (int, error) {
	number, unit := text, uint64(1000)
	if milli, found := strings.CutSuffix(text, "m"); found {
		number, unit = milli, 1
	}
	exact, err := scaled(number, unit)
	var amount uint64
	switch {
	case err != nil:
	case !exact.IsInt():
		err = errors.New("not a whole number of the smallest part")
	default:
		if amount, err = roundUp(exact); err == nil && amount > MaxCPUMilli {
			err = fmt.Errorf("the limit is %dm", MaxCPUMilli)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not an amount of CPU such as 500m or 2: %w", ErrInvalid, clip(text), err)
	}
	return int(amount), nil
}

// scaled gives number * unit exactly, number being digits with at most one point.
func scaled(number string, unit uint64) (*big.Rat, error) {
	if len(number) > maxQuantityBytes {
		return nil, fmt.Errorf("more than %d characters", maxQuantityBytes)
	}
	whole, fraction, pointed := strings.Cut(number, ".")
	if !digits(whole) || (pointed && !digits(fraction)) {
		return nil, errors.New("not digits with at most one point")
	}
	amount, _ := new(big.Rat).SetString(number) // digits and a point are a Rat
	return amount.Mul(amount, new(big.Rat).SetInt(new(big.Int).SetUint64(unit))), nil
}

// roundUp is the smallest whole number that is not below amount, which is not negative.
func roundUp(amount *big.Rat) (uint64, error) {
	whole, rest := new(big.Int).QuoRem(amount.Num(), amount.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		whole.Add(whole, big.NewInt(1))
	}
	if !whole.IsUint64() {
		return 0, errors.New("too large")
	}
	return whole.Uint64(), nil
}

func digits(text string) bool {
	for _, character := range []byte(text) {
		if character < '0' || character > '9' {
			return false
		}
	}
	return text != ""
}

// clip keeps a hostile text from filling an error.
func clip(text string) string {
	const limit = 64
	if len(text) > limit {
		return text[:limit] + "..."
	}
	return text
}

package function

import "errors"

var (
	// ErrInvalidInput marks an error that the caller caused: its values do not fit the model.
	ErrInvalidInput = errors.New("invalid input")
	// ErrFatal marks an error after which the process cannot go on. See [Fatal].
	ErrFatal = errors.New("fatal")
	// ErrDrain says that an inference had not ended when the time to drain was over.
	ErrDrain = errors.New("inferences still run")
)

// Fatal marks an error after which the process cannot go on, such as a device that
// is gone. The request that met it is answered with UNAVAILABLE, then the process
// ends with a non-zero status. Fatal(nil) is nil.
func Fatal(err error) error {
	if err == nil {
		return nil
	}
	return fatalError{err}
}

type fatalError struct{ cause error }

func (e fatalError) Error() string   { return e.cause.Error() }
func (e fatalError) Unwrap() []error { return []error{ErrFatal, e.cause} }

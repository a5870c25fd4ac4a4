package matcher

// Leaf says how the value at the end of a path is judged. The differences
// between the rule languages are here, not in the evaluator. The zero values
// are the native language's.
type Leaf struct {
	Op      Op
	Arrays  ArrayMode
	AsText  TextMask
	Null    NullMode
	Objects ObjectMode
	// Absent is the result where no value is at the path.
	Absent bool
}

// ArrayMode says what arrays on the way and at the end of a path do.
type ArrayMode uint8

// The array modes.
const (
	// AnyElement: arrays are flattened, one element that satisfies is enough.
	AnyElement ArrayMode = iota
	// EachElement: arrays are flattened, every element must satisfy; an element
	// that lacks the rest of the path counts as Absent, an empty array too.
	EachElement
	// WholeArray: a key does not go into an array, and Op sees an array whole.
	WholeArray
)

// TextMask says which values besides strings the text operators see as text.
type TextMask uint8

// The bits of a TextMask.
const (
	TextNumbers      TextMask = 1 << iota // the number as it is written
	TextBools                             // true, false
	TextObjects                           // an object's compact JSON
	TextArrays                            // an array's compact JSON, besides its elements
	TextObjectArrays                      // the same, of an array that holds an object
)

// NullMode says what JSON null at the end of a path does.
type NullMode uint8

// The null modes.
const (
	NullSeen   NullMode = iota // Op sees it: only IsNull, Exists, KindIs and Neither can hold
	NullAbsent                 // as if there were no value
	NullFalse
	NullTrue
)

// ObjectMode says what an object at the end of a path (and an array, where
// arrays are whole) does.
type ObjectMode uint8

// The object modes.
const (
	ObjectSeen  ObjectMode = iota // Op sees it; a text operator only under TextObjects
	ObjectFalse                   // the test does not hold, whatever Op says
)

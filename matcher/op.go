package matcher

// Op judges one value. An Op is immutable and safe for concurrent use; make
// one with the constructors of this package.
type Op interface{ op() }

// OneOf holds when one of ops does, for the same value.
func OneOf(ops ...Op) Op { return &oneOf{ops} }

// Every holds when all of ops do, for the same value.
func Every(ops ...Op) Op { return &every{ops} }

// Neither holds for a value for which none of ops holds, whatever its type.
func Neither(ops ...Op) Op { return &neither{ops} }

type (
	oneOf   struct{ ops []Op }
	every   struct{ ops []Op }
	neither struct{ ops []Op }
)

func (*oneOf) op()   {}
func (*every) op()   {}
func (*neither) op() {}

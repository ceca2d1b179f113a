; Captures: @name is the symbol, any other capture is its kind and spans its definition; see matching.py.

(class_definition name: (identifier) @name) @class
(function_definition name: (identifier) @name) @function
(type_alias_statement left: (type [(identifier) @name (generic_type (identifier) @name)])) @type

; f = lambda: …
(assignment left: (identifier) @name right: (lambda)) @function

; Assignments in a module, also under a condition, and in the body of a class.
(module (expression_statement (assignment left: [(identifier) @name (pattern_list (identifier) @name)]) @variable))
(module (_ (block (expression_statement (assignment left: (identifier) @name) @variable))))
(module (_ (_ (block (expression_statement (assignment left: (identifier) @name) @variable)))))
(class_definition body: (block (expression_statement (assignment left: (identifier) @name) @field)))

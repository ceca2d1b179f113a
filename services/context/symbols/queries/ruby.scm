(class name: [(constant) @name (scope_resolution scope: (_)? @container name: (constant) @name)]) @class
(module name: [(constant) @name (scope_resolution scope: (_)? @container name: (constant) @name)]) @module
(method name: (_) @name) @method
(singleton_method name: (_) @name) @method
(alias name: (_) @name) @method
(assignment left: (constant) @name) @constant

(call
  method: (identifier) @_attributes
  arguments: (argument_list (simple_symbol) @name @field)
  (#any-of? @_attributes "attr_accessor" "attr_reader" "attr_writer"))
(call
  method: (identifier) @_method
  arguments: (argument_list . (simple_symbol) @name)
  (#any-of? @_method "define_method" "alias_method")) @method

# Debian's xsimd 8 names a target xtl in its link interface but neither finds nor needs it (it serves XSIMD_ENABLE_XTL_COMPLEX
# alone), so every program that links xsimd ends in "cannot find -lxtl".
if(TARGET xsimd AND NOT TARGET xtl)
  get_target_property(headgate_xsimd_links xsimd INTERFACE_LINK_LIBRARIES)
  if(headgate_xsimd_links STREQUAL "xtl")
    set_property(TARGET xsimd PROPERTY INTERFACE_LINK_LIBRARIES "")
  endif()
endif()

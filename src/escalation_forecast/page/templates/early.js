document.documentElement.classList.add("js");
try{var kept=localStorage.getItem("scheme");if(kept==="dark"||kept==="light")document.documentElement.dataset.theme=kept}catch(e){}
